"""What a lab's messaging writes into heat.conf, and the files of a broker's nodes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from calorimeter.core.errors import InputError
from calorimeter.lab.daemons import broker_queries, messaging, rabbitmq, rabbitmq_node, rabbitmq_program
from calorimeter.lab.lab_state import Lab
from calorimeter.lab.lab_topology import LabTopology
from calorimeter.lab.programs import Programs

NOWHERE = Path("/nowhere")


def lab(folder: Path, **asked: object) -> Lab:
    """A lab that is not up, with ports from 20000."""
    wanted = LabTopology.model_validate({"name": "m", **asked})
    ports = {name: 20000 + number for number, name in enumerate(wanted.port_names)}
    secrets = {"amqp": "pass", "erlang_cookie": "cookie"}
    programs = Programs(*(NOWHERE,) * 6)
    return Lab(folder, wanted.model_copy(update={"ports": ports}), secrets, programs)


def test_recommended_messaging_is_what_deployers_use(tmp_path: Path) -> None:
    """Quorum queues for replies, streams for fanout, reply queues with names of their own, prefetch 50."""
    found = messaging.sections(lab(tmp_path, messaging="recommended"), "engine-2")
    rabbit = found["oslo_messaging_rabbit"]
    assert str(rabbit["hostname"]).startswith(f"calorimeter.{tmp_path.name}.")
    assert str(rabbit["hostname"]).endswith(".engine-2")
    assert {key: value for key, value in rabbit.items() if key != "hostname"} == {
        "rabbit_qos_prefetch_count": 50,
        "rabbit_transient_quorum_queue": True,
        "rabbit_stream_fanout": True,
        "use_queue_manager": True,
    }
    assert found["oslo_concurrency"] == {"lock_path": str(tmp_path / "heat")}


def test_prefetch_is_of_any_messaging(tmp_path: Path) -> None:
    """Alone it is the only option; without it classic messaging adds nothing."""
    assert messaging.sections(lab(tmp_path), "rest-1") == {}
    given = messaging.sections(lab(tmp_path, prefetch=7), "rest-1")
    assert given == {"oslo_messaging_rabbit": {"rabbit_qos_prefetch_count": 7}}


def test_engines_of_one_host_have_reply_queues_of_their_own(tmp_path: Path) -> None:
    """They share a heat.conf, so the environment tells them apart; others need none."""
    shared = lab(tmp_path, messaging="recommended", engines=2, engines_per_host=2)
    names = [messaging.environment(shared, part) for part in shared.topology.engine_parts]
    assert names[0] != names[1]
    assert messaging.environment(shared, "rest-1") == {}
    assert messaging.environment(lab(tmp_path, engines=2, engines_per_host=2), "engine-1") == {}


def test_a_lab_removes_its_own_counters_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not those of a lab of the same name in another state folder, nor what is somebody else's."""
    monkeypatch.setattr(messaging, "SHARED_MEMORY", tmp_path)
    hosts = [
        messaging.sections(lab(Path(folder), messaging="recommended"), "rest-1")["oslo_messaging_rabbit"]
        for folder in ("/one/m", "/two/m")
    ]
    kept = [tmp_path / f"{host['hostname']}_heat-api_qmanager" for host in hosts]
    for path in kept:
        path.touch()
    messaging.remove_files(Path("/one/m"))
    assert [path.exists() for path in kept] == [False, True]


@pytest.mark.parametrize(
    ("flags", "version", "fails"),
    [
        ([{"name": "stream_queue", "state": "enabled"}], "3.10.8", False),
        ([], "4.2.0", False),
        ([{"name": "stream_queue", "state": "disabled"}], "3.10.8", True),
        ([{"name": "quorum_queue", "state": "enabled"}], "3.8.2", True),
    ],
)
def test_streams_are_looked_for_before_heat_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: object, version: str, fails: bool
) -> None:
    """A broker without streams is refused in one line."""
    answers = {"feature-flags": flags, "overview?columns=rabbitmq_version": {"rabbitmq_version": version}}
    monkeypatch.setattr(broker_queries, "ask", lambda lab, path: answers[path])
    messaging.check_broker(lab(tmp_path, messaging="quorum"))
    if not fails:
        messaging.check_broker(lab(tmp_path, messaging="recommended"))
        return
    with pytest.raises(InputError, match="--messaging: recommended needs streams, and RabbitMQ .*; valid"):
        messaging.check_broker(lab(tmp_path, messaging="recommended"))


def test_a_cluster_names_all_its_nodes(tmp_path: Path) -> None:
    """In transport_url and rabbitmq.conf; each node has an address of its own, and no password in clear."""
    made = lab(tmp_path, brokers=3, partition_handling="autoheal")
    assert rabbitmq.transport(made).count("calorimeter:pass@127.0.0.1:") == 3
    for part in made.topology.broker_parts:
        rabbitmq_node.prepare(made, part)
    conf = (tmp_path / "rabbitmq-2" / "rabbitmq.conf").read_text()
    assert "cluster_partition_handling = autoheal\n" in conf
    assert "cluster_formation.classic_config.nodes.3 = rabbitmq-3@rabbitmq-3\n" in conf
    assert len(set(rabbitmq_node.own_addresses(made).values())) == 3
    written = {path for path in tmp_path.rglob("*") if path.is_file() and "pass" in path.read_text()}
    assert {path.name for path in written} <= {"definitions.json"}  # as password_hash
    assert '"pass"' not in (tmp_path / "rabbitmq-1" / "definitions.json").read_text()
    assert {path.stat().st_mode & 0o077 for path in tmp_path.rglob("*") if path.is_file()} == {0}


def test_a_template_holds_no_account(tmp_path: Path) -> None:
    """A node that fills it knows the virtual host alone."""
    made = lab(tmp_path)
    rabbitmq_node.prepare(made, "rabbitmq")
    rabbitmq_node.without_accounts(made, "rabbitmq")
    text = (tmp_path / "rabbitmq" / "definitions.json").read_text()
    assert json.loads(text) == {"vhosts": [{"name": "/"}]}


def test_only_plugins_that_are_needed_are_searched(tmp_path: Path) -> None:
    """The home has RabbitMQ, the management plugin and what they need; another layout runs as it is."""
    installed = tmp_path / "rabbitmq_server-3.10.8"
    needs = {
        "rabbit": "kernel,ra",
        "ra": "",
        "rabbitmq_management": "rabbit,cowboy",
        "cowboy": "",
        "jose": "",
    }
    for name, others in needs.items():
        (installed / "plugins" / f"{name}-1.0" / "ebin").mkdir(parents=True)
        app = installed / "plugins" / f"{name}-1.0" / "ebin" / f"{name}.app"
        app.write_text(f'{{application, {name}, [{{vsn, "1"}}, {{applications, [{others}]}}]}}.')
    (installed / "sbin").mkdir()
    (installed / "escript").mkdir()
    program = installed / "sbin" / "rabbitmq-server"
    program.touch()
    programs = Programs(*(NOWHERE,) * 4, program, NOWHERE)
    made = Lab(tmp_path / "lab", LabTopology(name="m"), {}, programs)
    rabbitmq_program.prepare(made)
    linked = {path.name for path in (made.folder / "rabbitmq-home" / "plugins").iterdir()}
    assert linked == {"rabbit-1.0", "ra-1.0", "rabbitmq_management-1.0", "cowboy-1.0"}
    assert rabbitmq_program.server(made).samefile(program)
    assert rabbitmq_program.version(made) == "rabbit-1.0"
