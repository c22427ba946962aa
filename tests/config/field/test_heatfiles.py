"""Field cases of Heat's files: what oslo.config and oslo.messaging make of them."""

from __future__ import annotations

import pytest

from calorimeter.config.audit import HeatFiles, Inputs, audit, corrected
from calorimeter.config.audit.subject import build
from calorimeter.config.generate.generated_files import heat_files, new_secrets
from calorimeter.config.generate.proxy_files import proxy_files
from calorimeter.config.generate.topology import Topology
from calorimeter.config.heat.heat_conf import HeatProcessConf
from calorimeter.core import toml
from calorimeter.core.errors import InputError
from tests.config.field.cases import FIELD, case


def conf(name: str) -> HeatProcessConf:
    """The first Heat file of a case."""
    return build(case(name).inputs()).heat[0]


def test_c01_tls_is_an_option_of_the_driver() -> None:
    """`ssl` of [oslo_messaging_rabbit] makes the connection TLS; the slash in the password is a fault."""
    transport = conf("c01").transport
    hosts = [(node.host, node.port, node.user, node.password) for node in transport.hosts]
    assert hosts == [("10.0.0.21", 5671, "openstack", "p@ss/w"), ("10.0.0.22", 5671, "openstack", "p@ss/w")]
    assert (transport.vhost, transport.tls) == ("/", True)
    broker = case("c01").describe().deployment.broker
    assert broker
    assert broker.amqp == ("amqps://10.0.0.21:5671", "amqps://10.0.0.22:5671")
    (found,) = case("c01").found("A10-transport-unreadable")
    assert "with a slash" in found.says
    assert not found.changes


def test_c05_a_later_file_supersedes_an_earlier_one() -> None:
    """The value of the last file is in force, and the others of the option are superseded."""
    read = conf("c05")
    assert read.engine_workers == 6
    assert {entry.key for entry in read.options.superseded} == {"num_engine_workers", "auth_uri"}
    assert "6" in [entry.raw for entry in read.options.in_force]


def test_c07_an_option_before_any_section_is_rejected() -> None:
    """oslo.config refuses the file; the first line of it is the finding."""
    (found,) = case("c07").found("A10-line-unreadable")
    assert found.line == 1
    assert "Section must be started before assignment" in found.says


def test_c08_default_is_written_in_capitals() -> None:
    """Options of [default] are not in force."""
    read = conf("c08")
    assert read.engine_workers is None
    assert read.transport.value is None
    assert [node.host for node in read.transport.hosts] == ["localhost"]
    assert ("default", 1) in read.options.files[0].groups


def test_c09_an_indented_comment_is_part_of_the_value() -> None:
    """The comment is read as the fragment of the URL, and nothing of it reaches the deployment file."""
    transport = conf("c09").transport
    assert (transport.vhost, transport.fault) == ("heat", "")
    broker = case("c09").describe().deployment.broker
    assert broker
    assert (broker.amqp, broker.vhost) == (("amqp://10.0.0.21:5672",), "heat")
    described = case("c09").describe()
    assert "10.0.0.99" not in repr(described)


def test_c11_a_hash_in_the_password_stops_heat() -> None:
    """The finding names the character and not the password; the change encodes it."""
    found = case("c11").found("A10-transport-unreadable")
    assert {finding.severity for finding in found} == {"error"}
    assert all("# (write %23)" in finding.says for finding in found)
    assert not any("Pa#ss" in f"{finding.says}{finding.follows}{finding.diff}" for finding in found)
    after = "".join(corrected(case("c11").inputs()).texts.values())
    assert "transport_url = rabbit://openstack:Pa%23ss@10.0.0.21:5672/\n" in after


@pytest.mark.parametrize("name", ["topo-multi", "topo-v6", "topo-vip"])
def test_g01_topologies(name: str) -> None:
    """The files of each topology are clean; several brokers in one text are a line that says how."""
    text = (FIELD / f"g01-generate/{name}.toml").read_text(encoding="utf-8")
    if name == "topo-multi":
        with pytest.raises(InputError, match=r"brokers = \['10\.0\.0\.21:5672', '10\.0\.0\.22:5672'\]"):
            toml.parse(text, Topology, where=name)
        text = text.replace(
            'broker = "10.0.0.21:5672,10.0.0.22:5672"', "brokers = ['10.0.0.21:5672', '10.0.0.22:5672']"
        )
    topology = toml.parse(text, Topology, where=name)
    proxies = tuple((file.name, ((file.name, file.text),)) for file in proxy_files(topology))
    files = heat_files(topology, new_secrets({}))
    heat = tuple(HeatFiles(file.name, ((file.name, file.text),)) for file in files)
    assert [(f.rule, f.says) for f in audit(Inputs(proxies=proxies, heat=heat)).faults] == []
