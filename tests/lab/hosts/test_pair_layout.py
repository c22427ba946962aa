"""A pair of proxies: which part is where, and the files of each proxy and its keepalived."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from calorimeter.config import keepalived_reader, keepalived_writer
from calorimeter.config.haproxy import haproxy_writer
from calorimeter.core.errors import InputError
from calorimeter.lab import deployment_file, programs
from calorimeter.lab.daemons import haproxy, keepalived
from calorimeter.lab.hosts.host_layout import HostLayout
from calorimeter.lab.hosts.layouts import LAYOUTS
from calorimeter.lab.hosts.pair_layout import PAIR
from calorimeter.lab.lab_state import Lab
from calorimeter.lab.lab_topology import LabTopology
from calorimeter.lab.programs import Programs
from calorimeter.lab.sabotage.pair_sabotage import PAIR_SABOTAGES
from calorimeter.lab.sabotage.proxy_sabotage import SABOTAGES

PROGRAM = Path("/usr/sbin/haproxy")


def lab(folder: Path = Path("/p"), **asked: object) -> Lab:
    """A pair that is not up."""
    wanted = LabTopology.model_validate({"name": "p", "proxies": 2, **asked})
    heat = Programs(PROGRAM, PROGRAM, PROGRAM, PROGRAM, PROGRAM, Path("/venv"))
    ports = PAIR.ports(wanted.port_names)
    return Lab(folder, wanted.model_copy(update={"ports": ports}), {"amqp": "x"}, heat)


@pytest.mark.parametrize(
    ("part", "host", "address"),
    [
        ("proxy-1", "P1", "10.0.0.251"),
        ("keepalived-2", "P2", "10.0.0.252"),
        ("rabbitmq", "A", "10.0.0.1:5672"),
        ("rest-1", "B", "10.0.0.2:8004"),
        ("rest-2", "C", "10.0.0.3:8004"),
        ("rest-3", "B", "10.0.0.2:8014"),
        ("cfn-4", "C", "10.0.0.3:8010"),
        ("relay-cfn-4", "C", "10.0.0.3"),
        ("engine-3", "B", "10.0.0.2"),
    ],
)
def test_every_part_has_its_host(part: str, host: str, address: str) -> None:
    """P1 and P2 have a proxy each, A all services, B and C APIs and engines in turn, each with its port."""
    made = lab(rest=3, cfn=4)
    assert made.namespace(part) == f"calorimeter.p.{host}"
    assert made.host(part) == address.partition(":")[0]
    if ":" in address and part in made.topology.ports:
        assert made.address(part) == address


def test_clients_reach_the_address_that_moves() -> None:
    """The front addresses are on no host of their own."""
    assert [lab().address(api) for api in ("rest", "cfn")] == ["10.0.0.250:8004", "10.0.0.250:8000"]
    assert PAIR.virtual_address not in PAIR.hosts.values()


def test_engines_that_share_a_host_name_are_on_one_host() -> None:
    """Two engines with one heat.conf are processes of one machine."""
    made = lab(engines=4, engines_per_host=2)
    assert [made.machine(part) for part in made.topology.engine_parts] == ["B", "B", "C", "C"]


def test_nodes_of_a_cluster_have_ports_of_their_own() -> None:
    """They are all on the host of the services."""
    made = lab(brokers=3)
    assert [made.address(f"amqp-{n}") for n in (1, 2, 3)] == [f"10.0.0.1:567{n}" for n in (2, 3, 4)]


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=list(LAYOUTS))
def test_names_of_hosts_fit_into_names_of_interfaces(layout: HostLayout) -> None:
    """A bridge port is called `port-HOST`, and the kernel allows 15 characters."""
    assert all(len(host) <= 10 for host in layout.hosts)


def test_each_proxy_binds_the_address_without_having_it() -> None:
    """The files differ in their stats only; keepalived can ask whether the proxy works."""
    first, second = (haproxy.config(lab(), part) for part in ("proxy-1", "proxy-2"))
    assert first.listens == second.listens
    assert first.listens[0].bind == ("10.0.0.250:8004 transparent",)
    assert first.listens[-1] == keepalived_writer.ALIVE_SECTION
    assert second.global_lines == ("stats socket ipv4@10.0.0.252:9999 level admin",)
    assert "peers" not in haproxy_writer.render(first)


def test_peers_share_the_table_that_keeps_a_client() -> None:
    """Each proxy knows its own name among the peers, and both sections stick by the shared table."""
    text = haproxy_writer.render(haproxy.config(lab(peers=True), "proxy-2"))
    assert "peers proxies\n    peer proxy-1 10.0.0.251:1024\n    peer proxy-2 10.0.0.252:1024\n" in text
    assert "    localpeer proxy-2\n" in text
    assert text.count("    stick-table type ip size 100k expire 1h peers proxies\n    stick on src\n") == 2


@pytest.mark.parametrize("peers", [False, True])
@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_haproxy_takes_every_sabotage_of_a_pair(tmp_path: Path, sabotage: str, peers: bool) -> None:
    """No sabotage assumes that a configuration has the sections of the two APIs alone."""
    made = lab(tmp_path, peers=peers)
    changed = SABOTAGES[sabotage].proxy(made, haproxy.config(made, "proxy-1"))
    if not PROGRAM.exists():
        pytest.skip("haproxy is not installed")
    haproxy.prepare(made, "proxy-1", changed)


def test_keepalived_prefers_the_first_proxy_and_takes_nothing_back(tmp_path: Path) -> None:
    """Its file is the one that `calorimeter generate` writes, with the lab's interval."""
    made = lab(tmp_path)
    for part in made.topology.keepalived_parts:
        keepalived.prepare(made, part)
    first, second = (tmp_path / f"keepalived-{n}" / "keepalived.conf" for n in (1, 2))
    for line in ("priority 102", "unicast_src_ip 10.0.0.251", "10.0.0.250/32 dev eth0", "nopreempt"):
        assert f"    {line}\n" in first.read_text()
    # VRRP 2 rounds the interval to a whole second.
    assert "vrrp_version 3\n" in second.read_text()
    assert "advert_int 0.2\n" in second.read_text()
    assert "priority 101\n" in second.read_text()


def test_a_missing_keepalived_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """So is curl, by which keepalived asks its proxy."""
    monkeypatch.setattr(programs.shutil, "which", lambda program, path: None)
    with pytest.raises(InputError, match="lab: missing curl keepalived; .*apt-get install curl keepalived"):
        programs.keepalived()


def test_the_deployment_file_says_how_the_address_moves() -> None:
    """The settings of each keepalived, and which parts belong to which proxy."""
    made = replace(lab(), secrets={"amqp": "x", "ec2_access": "e"})
    described = deployment_file.describe(made)
    assert [proxy.vrrp.priority for proxy in described.proxy if proxy.vrrp] == [102, 101]
    owned = {part.name: part.proxy for part in described.parts if part.proxy}
    assert owned == {
        "keepalived-1": "proxy-1", "keepalived-2": "proxy-2", "P1": "proxy-1", "P2": "proxy-2",
    }  # fmt: skip
    shown = {part.name: part.addresses for part in described.parts if part.addresses}
    assert shown.keys() == {"P1", "P2"}
    assert shown["P2"].endswith("calorimeter.p.P2 -- ip -o address")


def test_each_sabotage_of_a_pair_changes_what_its_gate_looks_at() -> None:
    """The check, the return, and the order of the servers of the last proxy."""
    own = keepalived.config(lab(), "keepalived-1")
    unasked, back, order = PAIR_SABOTAGES.values()
    assert (
        keepalived_reader.read(keepalived_writer.render(unasked.keepalived(own))).check_interval_s is None
    )
    assert keepalived_reader.read(keepalived_writer.render(back.keepalived(own))).preempt
    last = haproxy.config(lab(), "proxy-2")
    names = [server.name for server in last.listens[0].servers]
    assert [server.name for server in order.last_proxy(last).listens[0].servers] == names[::-1]
