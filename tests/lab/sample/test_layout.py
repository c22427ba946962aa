"""The guide's sample: its literal addresses, and its literal proxy file."""

from __future__ import annotations

from pathlib import Path

import pytest

from calorimeter.config.haproxy import haproxy_writer
from calorimeter.core.errors import InputError
from calorimeter.core.host import netns
from calorimeter.lab import lab_state
from calorimeter.lab.daemons import haproxy
from calorimeter.lab.hosts import network
from calorimeter.lab.lab_state import Lab
from calorimeter.lab.lab_topology import LabTopology
from calorimeter.lab.programs import Programs
from calorimeter.lab.sample.layout import SAMPLE
from tests.places import GUIDE

PROGRAM = Path("/usr/sbin/haproxy")


def lab(**asked: object) -> Lab:
    """A sample that is not up."""
    wanted = LabTopology.model_validate({"name": "s", "sample": "guide", "engines": 4, **asked})
    ports = SAMPLE.ports(wanted.port_names)
    programs = Programs(*(PROGRAM,) * 5, Path("/venv"))
    return Lab(Path("/s"), wanted.model_copy(update={"ports": ports}), {"amqp": "x"}, programs)


def told(text: str) -> list[str]:
    """The lines of a configuration, without comments and indentation."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip() and line[0] != "#"]


def test_its_proxy_file_is_the_guides_but_for_the_lines_of_evidence() -> None:
    """`--proxy guide` is the literal file and four lines: two stats sockets, a log, and what it logs."""
    made = told(haproxy_writer.render(haproxy.config(lab(proxy="guide"))))
    guide = told((GUIDE / "apis-proxy.conf").read_text())
    assert [line for line in made if line in guide] == guide
    assert [line for line in made if line not in guide] == [
        "stats socket /s/haproxy/stats mode 600 level admin expose-fd listeners",
        "log 10.0.0.101:5140 local0",
        "stats socket ipv4@10.0.0.1:9999 level admin",
        "option tcplog",
    ]


def test_its_correction_is_the_generated_one() -> None:
    """`--proxy checked` is what `calorimeter generate` writes, with the guide's names of the servers."""
    made = haproxy.config(lab())
    rest, cfn = made.listens
    assert rest.hash_type == cfn.hash_type == "consistent"
    assert [(server.name, server.address) for server in rest.servers] == [
        ("rest-server-1", "10.0.0.2:8004"),
        ("rest-server-2", "10.0.0.3:8004"),
    ]
    assert all(server.check for server in (*rest.servers, *cfn.servers))
    assert "httpchk GET /healthcheck" in rest.options


def test_what_is_asked_for_changes_the_correction() -> None:
    """Balance, hash, weights, timeouts and limits of the command line count here too."""
    made = haproxy.config(
        lab(hash_type="map-based", weights=(1, 3), timeouts={"client": "2s"}, maxconn=20, server_maxconn=5)
    )
    assert made.maxconn == made.default_maxconn == 20
    assert made.timeouts["client"] == "2s"
    assert {listen.hash_type for listen in made.listens} == {"map-based"}
    assert [server.weight for server in made.listens[0].servers] == [1, 3]
    assert "maxconn 5" in made.listens[1].servers[1].words
    assert haproxy.config(lab(balance="roundrobin")).listens[0].hash_type is None


@pytest.mark.parametrize(
    ("name", "host"),
    [
        *(("rest", "A"), ("cfn", "A"), ("proxy", "A"), ("mariadb", "A"), ("keystone", "A")),
        *(("rest-server-1", "B"), ("rest-server-2", "C"), ("cfn-server-1", "B"), ("cfn-server-2", "C")),
        *(("engine-1", "B"), ("engine-2", "C"), ("engine-3", "B"), ("log", "client-1")),
        ("relay-rest-server-2", "C"),
    ],
)
def test_every_part_has_its_host(name: str, host: str) -> None:
    """A has the proxy and all services, B and C one API of each kind and engines in turn."""
    assert SAMPLE.host_of(name) == host
    assert lab().host(name) == SAMPLE.hosts[host]
    assert lab().namespace(name) == f"calorimeter.s.{host}"


def test_other_labs_have_no_hosts() -> None:
    """Without a sample everything is on loopback, in no namespace."""
    plain = Lab(Path("/p"), LabTopology(name="p"), {}, lab().programs)
    assert (plain.host("rest"), plain.namespace("rest-1")) == (lab_state.LOOPBACK, None)


def test_labs_stand_side_by_side() -> None:
    """The namespaces of a lab are not those of another whose name begins with its name."""
    assert not network.namespace("guide-2", "A").startswith(network.namespace("guide", ""))


def test_a_namespace_that_is_not_there_is_unusable_input() -> None:
    """`[clients] netns` names one of this machine's, or the command ends with one line."""
    with pytest.raises(InputError, match=r"d\.toml: clients\.netns: no network namespace 'nowhere'"):
        netns.enter("nowhere", "d.toml: clients.netns")
