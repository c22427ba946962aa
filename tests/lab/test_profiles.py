"""Profiles: what deployment tools roll out, with the source of each value, and labs that they make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from calorimeter.commands.lab_profiles import set_by_profile
from calorimeter.commands.lab_up import PROFILES, topology
from calorimeter.config.haproxy.haproxy_writer import render
from calorimeter.core import deployment as deployments
from calorimeter.core.errors import InputError
from calorimeter.core.toml import parse
from calorimeter.gates.audit.audited_files import audited
from calorimeter.gates.context import Context, Settings
from calorimeter.lab import combinations, deployment_file, lab_profile, lab_state, programs
from calorimeter.lab.daemons import haproxy, heat
from calorimeter.lab.lab_profile import Profile
from calorimeter.lab.lab_state import Lab


def lab_of(folder: Path, **asked: Any) -> Lab:
    """A lab as `lab up` plans it; nothing of it runs."""
    planned = topology({"name": "planned", **asked})
    ports = {name: 20000 + n for n, name in enumerate(planned.port_names)}
    secrets = {**lab_state.fresh_secrets(), "ec2_access": "access", "ec2_secret": "secret"}
    return Lab(folder, planned.model_copy(update={"ports": ports}), secrets, programs.found())


def test_the_command_offers_every_profile() -> None:
    """The files and the option have the same names."""
    assert sorted(PROFILES) == lab_profile.names()


@pytest.mark.parametrize("name", PROFILES)
def test_each_value_has_a_source_and_each_source_a_value(name: str) -> None:
    """A value without a known source is refused by the reader; a source that no value names is stale."""
    profile = lab_profile.read(name)
    values = [each for group in profile.groups().values() for each in group.values()]
    named = {place.partition(":")[0] for each in values for place in each.source.split("; ")}
    assert named == set(profile.sources)


def test_a_value_of_an_unknown_source_is_refused() -> None:
    """In one line, with the value."""
    text = 'title = "x"\n[sources]\na = "b"\n[options]\nrest = { value = 2, source = "c: d" }\n'
    with pytest.raises(InputError, match=r"options.rest: source 'c: d' is not one of \[sources\]"):
        parse(text, Profile, where="x.toml")
    with pytest.raises(InputError, match="options.rest.source: is missing"):
        parse(text.replace(', source = "c: d"', ""), Profile, where="x.toml")


@pytest.mark.parametrize("name", PROFILES)
def test_haproxy_accepts_what_a_profile_writes(name: str, tmp_path: Path) -> None:
    """`haproxy -c` on the whole file; what the file says is what the profile says."""
    lab = lab_of(tmp_path, profile=name, tls=())
    haproxy.prepare(lab)
    text = haproxy.conf(lab).read_text()
    settings = lab_profile.proxy_of(name)
    said = {name: each.value for name, each in settings.timeouts.items()} if settings else {}
    assert [f"timeout  {key} {value}" for key, value in said.items() if f" {key} {value}" not in text] == []
    assert text.count(f"balance  {lab.topology.balance}") == 2


def test_the_guides_profile_is_the_guides_file_to_the_letter(tmp_path: Path) -> None:
    """As `--proxy guide` writes it."""
    assert haproxy.config(lab_of(tmp_path, profile="guide")) == haproxy.config(
        lab_of(tmp_path, proxy="guide", engines=4, engines_per_host=2)
    )


def test_kollas_proxy_is_kollas(tmp_path: Path) -> None:
    """Its checks, limits and options, on the lab's addresses."""
    text = render(haproxy.config(lab_of(tmp_path, profile="kolla", rest=1)))
    for line in (
        "maxconn 8000",
        "maxconn  2000",
        "timeout  http-keep-alive 10s",
        "option  httpchk GET /healthcheck",
        "http-check expect status 200",
    ):
        assert f"    {line}\n" in text
    assert text.count("check inter 2000 fall 5 rise 2") == 1 + 3
    assert "on-marked-down" not in text
    assert "tcpka" not in text


@pytest.mark.parametrize(
    ("name", "detection_s", "recovery_s"), [("kolla", 60.0, 6.0), ("osa", 72.0, 48.0), ("charm", 12.0, 6.0)]
)
def test_the_file_wants_what_the_profile_can_keep(
    name: str, detection_s: float, recovery_s: float, tmp_path: Path
) -> None:
    """The bounds are those of the profile's own checks, its balance is no failure."""
    lab = lab_of(tmp_path, profile=name, brokers=1, heat="24")
    described = deployment_file.describe(lab)
    wanted = described.expect
    assert (wanted.balance, wanted.cut_sessions, wanted.tcp_keepalive) == (
        lab.topology.balance,
        False,
        False,
    )
    assert (wanted.max_detection_s, wanted.max_recovery_s) == (detection_s, recovery_s)
    assert not {gate for gate in described.waive if gate.startswith("S")}  # its balance is judged


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("kolla", {"A8-timeout-races-rpc"}),
        ("osa", {"A8-timeout-races-rpc"}),
        ("charm", {"A6-sessions-stay"}),
    ],
)
def test_the_audit_finds_what_is_wrong_with_the_tools_defaults(
    name: str, rules: set[str], tmp_path: Path
) -> None:
    """And nothing else: what the lab adds is no finding."""
    lab = lab_of(tmp_path, profile=name, brokers=1, heat="24", tls=())
    haproxy.prepare(lab)
    for part in lab.topology.heat_parts:
        heat.prepare(lab, part)
    deployment_file.write(lab)
    report = audited(Context(deployments.read(lab.deployment), Settings()))
    assert {finding.rule for finding in report.open if finding.serious} == rules


def test_heat_conf_has_the_options_of_the_profile(tmp_path: Path) -> None:
    """Those of all parts, and those of APIs or engines alone."""
    lab = lab_of(tmp_path, profile="kolla", brokers=1, heat="24")
    api, engine = heat.conf(lab, "rest-1"), heat.conf(lab, "engine-1")
    assert [conf["database"]["max_pool_size"] for conf in (api, engine)] == [1, 1]
    assert [conf["oslo_messaging_rabbit"]["heartbeat_in_pthread"] for conf in (api, engine)] == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"brokers": 3, "partition_handling": "pause_minority", "balance": "roundrobin"}),
        ({"balance": "source"}, {"balance": "source", "proxy": "profile"}),
        ({"brokers": 1}, {"brokers": 1, "partition_handling": None}),
        ({"messaging": "classic"}, {"prefetch": None}),
        ({"proxy": "checked"}, {"proxy": "checked", "maxconn": None, "balance": "roundrobin"}),
        ({"sample": "guide"}, {"rest": 2, "brokers": 1, "partition_handling": None}),
        ({"heat": "24"}, {"serve": "uwsgi"}),
        ({"profile": "charm", "heat": "27"}, {"serve": None, "engines_per_host": 3}),
        ({"profile": "guide", "sample": "guide"}, {"engines_per_host": 1, "proxy": "guide"}),
    ],
)
def test_options_that_are_given_win(given: dict[str, Any], expected: dict[str, Any]) -> None:
    """And a value that belongs to another one goes with it, so that nothing unasked is refused."""
    wanted = topology({"name": "x", "profile": "kolla", **given})
    combinations.check(wanted, {})
    assert {key: getattr(wanted, key) for key in expected} == expected


def test_the_output_says_what_was_given_instead() -> None:
    """One line a group, and one for the options that win."""
    lines = list(set_by_profile(topology({"name": "x", "profile": "kolla", "rest": 2, "brokers": 1})))
    assert lines[0].startswith("profile kolla: kolla-ansible")
    assert "  proxy.check: inter 2000, rise 2, fall 5" in lines
    assert lines[-1] == (
        "  given instead: rest 2 (not 3), brokers 1 (not 3), partition_handling none (not pause_minority)"
    )
    assert list(set_by_profile(topology({"name": "x"}))) == []


def test_a_profile_of_the_proxy_needs_a_profile() -> None:
    """`proxy = profile` is what a profile sets, and nobody else."""
    with pytest.raises(InputError, match="--proxy: profile given without a profile"):
        combinations.check(topology({"name": "x", "proxy": "profile"}), {})


def test_two_stick_tables_in_one_section_are_refused() -> None:
    """OpenStack-Ansible's counts errors; that of peers would be another."""
    with pytest.raises(InputError, match="--peers: given with --profile osa"):
        combinations.check(topology({"name": "x", "profile": "osa", "proxies": 2, "peers": True}), {})
