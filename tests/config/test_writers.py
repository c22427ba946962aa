"""The writers of HAProxy's, Heat's and the suite's own configuration files."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calorimeter.config import deployment_writer
from calorimeter.config.haproxy.haproxy_writer import (
    HealthCheck,
    ListenSection,
    ProxyConfig,
    ServerLine,
    checked,
    render,
)
from calorimeter.config.haproxy.units import seconds
from calorimeter.config.heat import heat_conf_writer
from calorimeter.core import toml
from calorimeter.core.control.controlled_part import Part
from calorimeter.core.deployment import Api, Backend, Deployment
from calorimeter.core.login.identities import Identity
from calorimeter.core.secrecy.secrets import Secret
from tests.places import GUIDE

SAMPLE = ProxyConfig(
    listens=(
        ListenSection(
            "rest_api_proxy",
            ("10.0.0.1:8004",),
            (ServerLine("rest-server-1", "10.0.0.2:8004"), ServerLine("rest-server-2", "10.0.0.3:8004")),
        ),
        ListenSection(
            "cfn_api_proxy",
            ("10.0.0.1:8000",),
            (ServerLine("cfn-server-1", "10.0.0.2:8000"), ServerLine("cfn-server-2", "10.0.0.3:8000")),
        ),
    )
)


CHECK = ["check", "inter", "1s", "fall", "2", "rise", "2"]


def words(text: str) -> list[list[str]]:
    """The words of each line, without blank lines and comments."""
    return [line.split() for line in text.splitlines() if line.split() and not line.strip().startswith("#")]


def test_the_defaults_are_the_guides_own_file() -> None:
    """For the guide's sample the writer writes the guide's file, word for word."""
    assert words(render(SAMPLE)) == words((GUIDE / "apis-proxy.conf").read_text(encoding="utf-8"))


def test_checked_adds_only_checks() -> None:
    """The checked file differs from the guide's only in the server lines and in `timeout check`."""
    guide, better = words(render(SAMPLE)), words(render(checked(SAMPLE)))
    changed = [line for line in better if line not in guide]
    assert changed == [
        ["timeout", "check", "1s"],
        *([*line, *CHECK] for line in guide if line[0] == "server"),
    ]


def test_variations_are_written_as_haproxy_reads_them() -> None:
    """Balance, hash type, weights, mode and verbatim lines become statements of HAProxy."""
    listen = ListenSection(
        "api",
        ("127.0.0.1:1",),
        (ServerLine("a", "127.0.0.1:2", weight=2, check=HealthCheck("3s", 4, 5), words=("backup",)),),
        balance="roundrobin",
        hash_type="consistent",
        lines=("stick on src",),
    )
    text = render(replace(SAMPLE, listens=(listen,), mode="http", global_lines=("nbthread 1",)))
    assert "    server a 127.0.0.1:2 weight 2 check inter 3s fall 4 rise 5 backup\n" in text
    for line in (
        "balance  roundrobin",
        "hash-type  consistent",
        "stick on src",
        "mode  http",
        "nbthread 1",
    ):
        assert f"    {line}\n" in text


@pytest.mark.parametrize(
    ("text", "value"), [("10s", 10.0), ("1m", 60.0), ("250", 0.25), ("250ms", 0.25), ("2h", 7200.0)]
)
def test_durations_have_haproxys_units(text: str, value: float) -> None:
    """A number without a unit is milliseconds."""
    assert seconds(text) == value


def test_text_that_is_not_a_duration_is_rejected() -> None:
    """Other text is a ValueError that quotes it."""
    with pytest.raises(ValueError, match="'1 minute' is not a duration"):
        seconds("1 minute")


def host(**changes: object) -> heat_conf_writer.HeatHost:
    """The guide's host B, with the changes of a test."""
    base = heat_conf_writer.HeatHost(
        host="B",
        transport="rabbit://heat:pa$$@10.0.0.1:5672/",
        database="mysql+pymysql://heat:x@10.0.0.1/heat?charset=utf8",
        auth_encryption_key="k" * 32,
        identity=heat_conf_writer.KeystoneAccess("http://10.0.0.1:5000", "heat", "secret"),
        stack_domain=heat_conf_writer.StackDomain("heat", "admin", "secret"),
        memcached="10.0.0.1:11211",
        cfn_url="http://10.0.0.1:8000",
        rest_bind=("10.0.0.2", 8004),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def test_the_file_of_a_host_has_its_own_address_and_the_shared_services() -> None:
    """REST's bind is the host's own, without a CFN API there is no bind for it, `$` is doubled."""
    text = heat_conf_writer.render(heat_conf_writer.sections(host()))
    assert "[heat_api]\nbind_host = 10.0.0.2\nbind_port = 8004\nworkers = 1\n" in text
    assert "[heat_api_cfn]" not in text
    assert "transport_url = rabbit://heat:pa$$$$@10.0.0.1:5672/\n" in text
    assert "endpoint_override = http://10.0.0.1:5000\n" in text


def test_changes_replace_and_add_options() -> None:
    """`changed` keeps the other options."""
    tree = {"DEFAULT": {"host": "B", "debug": False}}
    assert heat_conf_writer.changed(tree, {"DEFAULT": {"debug": True}, "new": {"a": 1}}) == {
        "DEFAULT": {"host": "B", "debug": True},
        "new": {"a": 1},
    }


def test_an_option_cannot_add_a_line() -> None:
    """A value with a line break is rejected."""
    with pytest.raises(ValueError, match="one line"):
        heat_conf_writer.render({"DEFAULT": {"host": "a\ndebug = true"}})


TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)


@given(name=TEXT, command=TEXT, waived=st.dictionaries(TEXT, TEXT, max_size=3), user=TEXT)
def test_a_written_deployment_reads_back_the_same(
    name: str, command: str, waived: dict[str, str], user: str
) -> None:
    """A deployment file with any text reads back as the deployment that was written."""
    backends = (Backend(name="rest-1", address="127.0.0.1:1"), Backend(name="rest-2", address="[::1]:2"))
    deployment = Deployment(
        name=name,
        rest=Api(url="http://127.0.0.1:8004/v1", proxy_section="rest_api_proxy", backends=backends),
        identity=Identity(
            auth_url="http://127.0.0.1:5000/v3",
            username=user,
            password=Secret(file=Path("secrets.toml"), key="load"),
            project="p",
        ),
        parts=(Part(name="rest-1", kind="rest", kill=command),),
        waive=waived,
    )
    text = deployment_writer.render(deployment, comment="written by a test")
    assert toml.parse(text, Deployment, where="test") == deployment
    assert re.match("# written by a test\n", text)
    assert tomllib.loads(text)["identity"]["password"] == {"file": "secrets.toml", "key": "load"}
