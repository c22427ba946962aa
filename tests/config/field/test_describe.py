"""What `calorimeter describe` makes of field cases: the broker, the engines, and what is configured."""

from __future__ import annotations

import pytest

from calorimeter.config.describe.expectations_found import messaging_times
from calorimeter.config.describe.owner_answers import Answers
from calorimeter.config.heat.heat_conf import parse
from calorimeter.core.errors import InputError
from calorimeter.core.expect import Expect
from tests.config.field.cases import case


def test_engines_with_one_host_option_are_one_name_on_the_broker() -> None:
    """Three machines with `host = heat` and four workers each are one host with twelve consumers (c03)."""
    deployment = case("c03").describe().deployment
    assert deployment.engine_consumers == {"heat": 12}
    (group,) = deployment.engines
    assert (group.host, group.processes, group.workers) == ("heat", 3, 4)


def test_engines_that_are_alike_are_one_group() -> None:
    """Machines with names of their own and equal workers are one group of hosts (c04)."""
    (group,) = case("c04").describe().deployment.engines
    assert (group.hosts, group.processes, group.workers) == (("infra1", "infra2", "infra3"), 1, 4)


def test_unsaid_workers_are_asked_for() -> None:
    """num_engine_workers = 0 is Heat's own choice, so describe asks; the owner's answer holds (c02)."""
    asked = case("c02").describe()
    assert "engines.workers" in [missing.key for missing in asked.missing]
    told = case("c02").describe(Answers(engine_workers=6))
    assert told.deployment.engine_consumers == {"n1": 6, "n2": 6}
    assert "engines.workers" not in [missing.key for missing in told.missing]


def test_the_owner_can_name_the_processes_of_a_host() -> None:
    """`--engine HOST=PROCESSES` is several heat-engine that share one file."""
    told = case("c03").describe(Answers(engines=("heat=2", "other"), engine_workers=1))
    assert told.deployment.engine_consumers == {"heat": 2, "other": 1}


@pytest.mark.parametrize("text", ["=2", "heat=", "heat=0", "heat=-1", "heat=²", "heat=1001"])
def test_a_wrong_number_of_processes_gets_one_line(text: str) -> None:
    """The line says what was given and what is valid."""
    with pytest.raises(InputError, match="valid: HOST, or HOST=PROCESSES with 1 to 1000"):
        case("c03").describe(Answers(engines=(text,)))


def test_all_nodes_of_the_broker_are_described() -> None:
    """The nodes of transport_url are the broker's addresses; each one is asked for its management URL."""
    asked = case("c04").describe()
    assert asked.deployment.broker is not None
    assert asked.deployment.broker.amqp == tuple(f"amqps://10.0.0.2{n}:5671" for n in (1, 2, 3))
    (management,) = (missing for missing in asked.missing if missing.key == "broker.management")
    assert management.option.count("--management-url http://10.0.0.2") == 3


def test_management_urls_are_those_of_the_nodes_with_their_hosts() -> None:
    """In whatever order they are given."""
    urls = tuple(f"http://10.0.0.2{n}:15672" for n in (3, 1, 2))
    broker = case("c04").describe(Answers(management_urls=urls)).deployment.broker
    assert broker is not None
    assert [(node.amqp, node.management) for node in broker.nodes] == [
        (f"amqps://10.0.0.2{n}:5671", f"http://10.0.0.2{n}:15672") for n in (1, 2, 3)
    ]


def test_bounds_of_an_outage_are_those_of_the_slowest_process() -> None:
    """Options of [oslo_messaging_rabbit], or of the URL's query; what is no number is left out."""
    texts = (
        "heartbeat_timeout_threshold = 20\nheartbeat_rate = 3\nkombu_reconnect_delay = 0.5\n",
        "heartbeat_timeout_threshold = 30\nheartbeat_rate = 2\nrabbit_interval_max = soon\n",
    )
    heat = tuple(parse("n1", ("heat.conf", f"[oslo_messaging_rabbit]\n{text}")) for text in texts)
    found = messaging_times(heat)
    assert found == {"heartbeat_s": 30.0, "heartbeat_rate": 2, "reconnect_delay_s": 0.5}
    assert Expect(**found).reconnect_interval_max_s == 30
    odd = parse(
        "n1", ("heat.conf", "[oslo_messaging_rabbit]\nheartbeat_rate = inf\nkombu_reconnect_delay = nan\n")
    )
    assert messaging_times([odd]) == {}


def test_sections_that_balance_alike_share_one_expectation() -> None:
    """Only what differs between the APIs stands in [expect.rest] and [expect.cfn]."""
    alike = case("h24").describe().deployment.expect
    assert (alike.balance, alike.rest.balance) == ("roundrobin", None)
    assert alike.of("rest").balance == "roundrobin"
