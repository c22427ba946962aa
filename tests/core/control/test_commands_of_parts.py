"""The commands that `[control]` writes: a deployment file in, its parts out."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from calorimeter.config import deployment_writer
from calorimeter.core.control.controlled_part import Part
from calorimeter.core.deployment import Deployment, as_written, read
from calorimeter.core.errors import InputError
from calorimeter.core.faults.schedule import Schedule, commands, parse, resolve
from calorimeter.gates.registry import Break

KOLLA = """\
name = "kolla"
[rest]
url = "http://10.0.0.250:8004/v1"
proxy_section = "heat_api_back"
backends = [
    { name = "ctl01", address = "10.0.0.2:8004" },
    { name = "ctl02", address = "[fd00::3]:8004" },
]
[cfn]
url = "http://10.0.0.250:8000/v1"
proxy_section = "heat_api_cfn_back"
backends = [{ name = "ctl01", address = "10.0.0.2:8000" }]
[[engines]]
host = "ctl01"
[[engines]]
host = "ctl02"
processes = 2
[[proxy]]
name = "lb1"
stats = ["http://10.0.0.4:1984/", "tcp://10.0.0.4:9999"]
[[proxy]]
name = "lb2"
stats = ["unix:///run/haproxy.sock"]
[broker]
amqp = ["amqp://10.0.0.7:5672", "amqps://rabbit-2"]
user = "openstack"
password = { env = "RABBIT" }
"""

SYSTEMD = 'driver = "systemd"\nssh = "root@{host}"\nhosts = { ctl01 = "10.0.0.2" }\n'
SSH = "ssh -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=5 -o LogLevel=ERROR -- root@{host} "


def described(tmp_path: Path, control: str, more: str = "") -> Deployment:
    """The deployment with this [control] table."""
    file = tmp_path / "deployment.toml"
    file.write_text(f"{KOLLA}[control]\n{control}{more}")
    return read(file)


def part(deployment: Deployment, kind: str, name: str) -> Part:
    """One part."""
    (found,) = (each for each in deployment.parts if (each.kind, each.name) == (kind, name))
    return found


def script(command: str | None) -> tuple[str, str]:
    """(destination, script) of a command over ssh."""
    words = shlex.split(command or "")
    assert words[0] == "ssh"
    return words[-2], words[-1]


def test_every_part_that_is_described_gets_commands(tmp_path: Path) -> None:
    """Backends, engines, proxies and brokers; APIs and engines of one host have one name."""
    deployment = described(tmp_path, SYSTEMD)
    assert [deployment.part_label(each.kind, each.name) for each in deployment.parts] == [
        "rest/ctl01", "ctl02", "cfn/ctl01", "engine/ctl01", "ctl02-1", "ctl02-2", "lb1", "lb2",
        "10.0.0.7", "rabbit-2",
    ]  # fmt: skip


def test_a_unit_is_reached_at_its_own_host(tmp_path: Path) -> None:
    """An API at its backend's address, an engine at its host's, which `hosts` may translate."""
    deployment = described(tmp_path, SYSTEMD)
    stop = "systemctl is-active heat-api && echo at_ns=now && systemctl stop heat-api"
    assert script(part(deployment, "rest", "ctl01").stop) == ("root@10.0.0.2", stop)
    assert script(part(deployment, "rest", "ctl02").stop) == ("root@fd00::3", stop)
    assert script(part(deployment, "engine", "ctl01").thaw) == (
        "root@10.0.0.2",
        "systemctl kill --signal=SIGCONT heat-engine",
    )
    assert script(part(deployment, "engine", "ctl02-2").sockets)[0] == "root@ctl02"
    assert script(part(deployment, "broker", "rabbit-2").thaw)[0] == "root@rabbit-2"
    assert part(deployment, "rest", "ctl01").sockets == SSH.format(host="10.0.0.2") + "'ss -tanoe'"


def test_a_proxy_with_a_local_socket_is_on_this_machine(tmp_path: Path) -> None:
    """Its commands run here; that of another is on the host of its stats."""
    deployment = described(tmp_path, SYSTEMD)
    assert part(deployment, "proxy", "lb2").thaw == "systemctl kill --signal=SIGCONT haproxy"
    assert script(part(deployment, "proxy", "lb1").thaw)[0] == "root@10.0.0.4"


def test_only_faults_begin_on_a_terminal(tmp_path: Path) -> None:
    """A fault's script ends with its ssh; one that heals goes on."""
    rest = part(described(tmp_path, SYSTEMD), "rest", "ctl01")
    breaks = [rest.kill, rest.stop, rest.freeze, *(each.inject for each in rest.faults.values())]
    heals = [rest.start, rest.thaw, *(each.heal for each in rest.faults.values())]
    assert all("-tt" in shlex.split(command or "") for command in breaks)
    assert not any("-tt" in shlex.split(command or "") for command in [*heals, rest.sockets])


def test_a_server_is_drained_in_every_proxy(tmp_path: Path) -> None:
    """By the first socket of each; a stats page sets no state."""
    drain = part(described(tmp_path, SYSTEMD), "cfn", "ctl01").drain or ""
    first, second = (shlex.split(each) for each in drain.split(" && "))
    assert first[3:] == ["10.0.0.4", "9999", "set server heat_api_cfn_back/ctl01 state drain"]
    assert second[3:] == ["/run/haproxy.sock", "set server heat_api_cfn_back/ctl01 state drain"]


def test_a_socket_on_the_proxys_host_is_used_there(tmp_path: Path) -> None:
    """`haproxy_socket` is reached as the other parts are."""
    given = SYSTEMD + 'haproxy_socket = "/var/lib/kolla/haproxy/haproxy.sock"\n'
    undrain = part(described(tmp_path, given), "rest", "ctl01").undrain or ""
    words = shlex.split(undrain)
    assert words[words.index("--") + 1] == "root@10.0.0.4"
    inner = shlex.split(words[words.index("--") + 2])
    assert inner[3:] == [
        "/var/lib/kolla/haproxy/haproxy.sock", "set server heat_api_back/ctl01 state ready",
    ]  # fmt: skip


def test_packets_are_dropped_at_the_backends_own_address(tmp_path: Path) -> None:
    """Each fault has a table that is named after part and fault; healing removes it."""
    faults = part(described(tmp_path, SYSTEMD), "rest", "ctl02").faults
    host, text = script(faults["unreachable"].inject)
    table = "calorimeter.rest.ctl02.unreachable"
    replaced = f"add table inet {table}; delete table inet {table}"
    assert host == "root@fd00::3"
    assert shlex.split(text) == [
        "echo", "at_ns=now", "&&", "nft",
        f"{replaced}; table inet {table} {{ chain c0 {{ type filter hook prerouting priority -300; "
        "ip6 daddr fd00::3 tcp dport 8004 drop; }; chain c1 { type filter hook postrouting priority 300; "
        "ip6 saddr fd00::3 tcp sport 8004 drop; }; }",
        "&&", "echo", "at_ns=now",
    ]  # fmt: skip
    assert shlex.split(script(faults["unreachable"].heal)[1]) == ["nft", replaced]
    assert "tcp dport { 5671, 5672 } drop" in faults["cut-off"].inject


def test_a_single_broker_cannot_be_partitioned(tmp_path: Path) -> None:
    """It has no others to lose."""
    several = part(described(tmp_path, SYSTEMD), "broker", "rabbit-2")
    assert set(several.faults) == {"partitioned"}
    file = tmp_path / "one.toml"
    one = KOLLA.replace('"amqp://10.0.0.7:5672", ', "")
    file.write_text(f"{one}[control]\n{SYSTEMD}")
    assert part(read(file), "broker", "rabbit-2").faults == {}


def test_containers_of_kolla(tmp_path: Path) -> None:
    """Their names are kolla's; the systemd unit that restarts a container is stopped with it."""
    control = 'driver = "podman"\nssh = "kolla@{host}"\nsudo = true\n'
    supervised = control + 'supervisor = "kolla-{service}-container"\n'
    engine = part(described(tmp_path, supervised), "engine", "ctl01")
    inspect = "sudo -n podman container inspect --format '{{.State.Status}}' heat_engine"
    running = f's=$({inspect}) && echo "$s" && [ "$s" = running ]'
    assert script(engine.kill) == (
        "kolla@ctl01",
        f"{running} && echo at_ns=now && sudo -n podman kill --signal=SIGKILL heat_engine && "
        "echo at_ns=now && sudo -n systemctl stop kolla-heat_engine-container",
    )
    assert script(engine.start)[1].endswith("sudo -n systemctl start kolla-heat_engine-container")
    alone = part(described(tmp_path, control), "engine", "ctl01")
    assert script(alone.start)[1] == "sudo -n podman start heat_engine"
    assert script(alone.stop)[1] == f"{running} && echo at_ns=now && sudo -n podman stop heat_engine"


def test_names_of_services_are_patterns(tmp_path: Path) -> None:
    """Engines that share a host are told apart by their number."""
    control = SYSTEMD + 'services = { engine = "heat-engine@{number}", rest = "openstack-{name}" }\n'
    deployment = described(tmp_path, control)
    assert script(part(deployment, "engine", "ctl02-2").start)[1].endswith("start heat-engine@2")
    assert script(part(deployment, "rest", "ctl01").start)[1].endswith("start openstack-ctl01")


def test_what_the_owner_wrote_stays(tmp_path: Path) -> None:
    """A command, a host, a unit, a fault; and a part that `[control]` is to leave alone."""
    more = """
[[parts]]
name = "ctl01"
kind = "rest"
host = "10.9.9.9"
service = "apache2"
kill = "power-off ctl01"
[parts.faults.unreachable]
inject = "pull the plug"
heal = "push the plug"
[[parts]]
name = "ctl02-1"
kind = "engine"
control = false
[[parts]]
name = "vip"
kind = "keepalived"
host = "10.0.0.4"
"""
    deployment = described(tmp_path, SYSTEMD, more)
    rest = part(deployment, "rest", "ctl01")
    assert rest.kill == "power-off ctl01"
    assert script(rest.start) == (
        "root@10.9.9.9",
        "systemctl reset-failed apache2; systemctl start apache2",
    )
    assert rest.faults["unreachable"].inject == "pull the plug"
    assert "deaf" in rest.faults
    assert part(deployment, "engine", "ctl02-1").kill is None
    assert script(part(deployment, "keepalived", "vip").thaw) == (
        "root@10.0.0.4", "systemctl kill --signal=SIGCONT keepalived",
    )  # fmt: skip


def test_kinds_that_are_not_named_get_no_commands(tmp_path: Path) -> None:
    """The owner may keep the proxy and the broker out."""
    deployment = described(tmp_path, SYSTEMD + 'kinds = ["rest", "engine"]\n')
    assert {each.kind for each in deployment.parts} == {"rest", "engine"}


def test_without_ssh_the_commands_run_here(tmp_path: Path) -> None:
    """As for a deployment on one machine."""
    rest = part(described(tmp_path, 'driver = "docker"\n'), "rest", "ctl01")
    assert rest.start == "docker start heat_api"


def test_commands_reach_their_hosts_from_the_clients_namespace(tmp_path: Path) -> None:
    """The next command heals what a killed one left before it enters that namespace."""
    deployment = described(tmp_path, SYSTEMD, '\n[clients]\nnetns = "client-1"\n')
    rest = part(deployment, "rest", "ctl01")
    within = "nsenter --net=/run/netns/client-1 -- "
    assert (rest.start or "").startswith(within + "ssh ")
    assert (rest.drain or "").startswith(within + "sh -c ")
    assert (part(deployment, "proxy", "lb2").thaw or "").startswith(within + "sh -c ")


def test_without_control_nothing_is_added(tmp_path: Path) -> None:
    """Nothing is ever broken that nobody allowed."""
    file = tmp_path / "deployment.toml"
    file.write_text(KOLLA)
    assert read(file).parts == ()


def test_the_file_is_written_again_as_it_was(tmp_path: Path) -> None:
    """The table survives, with its commands only where they were."""
    described(tmp_path, SYSTEMD)
    file = tmp_path / "deployment.toml"
    written = as_written(file)
    again = tmp_path / "again.toml"
    deployment_writer.write(written, again)
    assert as_written(again).model_dump() == written.model_dump()
    assert read(again).parts == read(file).parts


def test_gates_break_the_part_of_their_own_kind(tmp_path: Path) -> None:
    """Both APIs and an engine have the name ctl01."""
    deployment = described(tmp_path, SYSTEMD)
    planned = Break("kill").planned(deployment)
    assert [(each.kind, each.part) for each in planned] == [("rest", "ctl01"), ("cfn", "ctl01")]
    assert "heat-api-cfn" in planned[1].inject


def test_a_schedule_tells_parts_of_one_name_apart(tmp_path: Path) -> None:
    """By `KIND/NAME`; a pattern still matches all."""
    deployment = described(tmp_path, SYSTEMD)
    ((fault, given),) = resolve(Schedule(fault=(parse("engine/ctl01:kill@0s+5s"),)), deployment)
    assert (fault.part, given.kind) == ("engine/ctl01", "engine")
    assert len(resolve(Schedule(fault=(parse("*/ctl01:kill@0s+5s"),)), deployment)) == 3
    with pytest.raises(InputError, match="rest/ctl01"):
        resolve(Schedule(fault=(parse("ctl01:kill@0s+5s"),)), deployment)


@pytest.mark.parametrize(
    ("control", "message"),
    [
        ('driver = "podmn"\n', "did you mean 'podman'"),
        ('driver = "systemd"\nssh = "root@{ip}"\n', r"\{ip\} is no placeholder; valid: \{host\}"),
        ('driver = "systemd"\nservices = { rest = "heat-{x}" }\n', r"\{x\} is no placeholder"),
        ('driver = "systemd"\nservices = { api = "heat-api" }\n', "services"),
        ('driver = "systemd"\nsupervisor = "kolla-{service}"\n', "supervisor is for containers"),
        ('driver = "podman"\nhaproxy_socket = "haproxy.sock"\n', "begins with /"),
        ('ssh = "root@{host}"\n', "driver: is missing"),
        ('driver = "systemd"\nshh = "root@{host}"\n', "did you mean 'ssh'"),
    ],
)
def test_a_wrong_table_is_one_line(tmp_path: Path, control: str, message: str) -> None:
    """Where, what was given, and what is valid."""
    with pytest.raises(InputError, match=message) as problem:
        described(tmp_path, control)
    assert "\n" not in str(problem.value)


def test_names_cannot_leave_their_command(tmp_path: Path) -> None:
    """What a file says is quoted for both shells, and for nft."""
    evil = 'x"; reboot; $(reboot)'
    more = f"""
[[parts]]
name = '{evil}'
kind = "engine"
host = "-oProxyCommand=reboot"
service = "a; reboot"
"""
    engine = part(described(tmp_path, SYSTEMD.replace("root@", ""), more), "engine", evil)
    words = shlex.split(engine.thaw or "")
    assert words[words.index("--") + 1] == "-oProxyCommand=reboot"
    assert shlex.split(words[-1]) == ["systemctl", "kill", "--signal=SIGCONT", "a; reboot"]
    assert commands(engine, "kill") is not None


def test_engines_that_share_a_service_cannot_be_broken_one_by_one(tmp_path: Path) -> None:
    """Without a pattern that tells them apart they have no commands but their host's socket table."""
    engine = part(described(tmp_path, SYSTEMD), "engine", "ctl02-2")
    assert (engine.kill, engine.start) == (None, None)
    assert engine.sockets is not None
