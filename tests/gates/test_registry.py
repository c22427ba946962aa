"""The faults that a gate declares, and their announcement."""

from __future__ import annotations

from pathlib import Path

import pytest

from calorimeter.core.deployment import Deployment
from calorimeter.gates.context import Settings
from calorimeter.gates.judge import AcceptanceRun
from calorimeter.gates.registry import GATES, known, why_not_run
from calorimeter.gates.verify_options import Given


def deployment() -> Deployment:
    """Two of each; the second REST API can be killed and nothing else."""

    def part(name: str, kind: str, **commands: object) -> dict[str, object]:
        return {"name": name, "kind": kind, "kill": "k", "start": "s", "stop": "p", **commands}

    def api(name: str, port: int) -> dict[str, object]:
        backends = [{"name": f"{name}-{n}", "address": f"127.0.0.1:{port + n}"} for n in (1, 2)]
        return {"url": f"http://127.0.0.1:{port}/v1", "proxy_section": name, "backends": backends}

    return Deployment.model_validate(
        {
            "name": "cloud",
            "rest": api("rest", 8000),
            "cfn": api("cfn", 9000),
            "parts": (
                part("rest-2", "rest", freeze="f", thaw="t"),
                part("rest-1", "rest"),
                part("cfn-1", "cfn"),
                part("cfn-2", "cfn"),
                part("engine-1", "engine"),
                part("engine-2", "engine"),
            ),
        },
        strict=False,
    )


@pytest.mark.parametrize(
    ("gate", "broken"),
    [
        ("E6", ["engine-2"]),
        ("E8", ["engine-1", "engine-2"]),
        ("L3", ["engine-2", "rest-1", "cfn-1"]),
        ("H2", ["rest-1", "cfn-1"]),
        ("H3", ["rest-2"]),
        ("H8", ["rest-1", "rest-2", "cfn-1", "cfn-2"]),
        ("S6", ["rest-2", "cfn-2"]),
        ("S1", []),
    ],
)
def test_only_what_will_be_broken_is_announced(gate: str, broken: list[str]) -> None:
    """Gates of the engines break no API; gates that break one backend do not announce all of them."""
    planned = known()[gate].planned(deployment(), may_break=True)
    assert [each.part for each in planned] == broken


def test_only_hosts_that_carry_a_proxy_are_announced() -> None:
    """Gates V break neither the hosts of APIs nor their links."""
    hosts = [{"name": n, "kind": "host", "kill": "k", "start": "s"} for n in ("P1", "A")]
    hosts[0]["proxy"] = "proxy"
    tree = deployment().model_dump(mode="json", exclude_none=True)
    more = {"proxy": [{}], "parts": [*tree["parts"], *hosts]}
    described = Deployment.model_validate({**tree, **more}, strict=False)
    planned = known()["V1"].planned(described, may_break=True)
    assert [(each.part, each.fault) for each in planned] == [("P1", "kill")]


def test_optional_faults_are_announced_only_if_they_are_allowed() -> None:
    """P5 is passive, but breaks the last backend of each API that has commands, if faults are allowed."""
    gate = known()["P5"]
    assert gate.planned(deployment(), may_break=False) == []
    assert {each.part for each in gate.planned(deployment(), may_break=True)} == {"rest-2"}


def test_what_goes_on_beside_other_gates_is_settled_before_any_further_gate() -> None:
    """P5's waits begin with the first gate of engines, once, and end before a gate that breaks an API."""
    log: list[str] = []

    class Recorded:
        """In place of a context."""

        def begin_aside(self, experiment: object) -> None:
            log.append("begin")

        def settle(self) -> None:
            log.append("settle")

    gates = known()
    given = Given(None, None, None, Path("runs"), Settings())
    run = AcceptanceRun(Recorded(), None, given)  # type: ignore[arg-type]
    run.allowed = ["E4", "E5", "E6", "H2", "P5", "E7"]
    for gate_id in run.allowed:
        log.append(gate_id)
        run.prepare_for(gates[gate_id])
        run.new[gate_id] = None  # type: ignore[assignment]
    assert log == ["E4", "settle", "E5", "begin", "E6", "H2", "settle", "P5", "settle", "E7", "settle"]


def test_only_what_may_be_disturbed_is_left_out() -> None:
    """A gate whose experiment goes on beside others breaks nothing for sure, and is none of them."""
    gates = known()
    for gate in gates.values():
        if gate.beside:
            assert not gate.breaks
            assert gate.id not in gate.beside.gates
            assert {*gate.beside.gates} <= {*gates}


def test_a_gate_that_needs_an_optional_table_says_so() -> None:
    """Without `[database]` D1 does not run; with it, it needs the consent."""
    known()
    without = deployment()
    table = {"url": "unix:///s", "user": "u", "password": {"env": "P"}}
    with_it = Deployment.model_validate({**without.model_dump(), "database": table}, strict=False)
    assert why_not_run(GATES["D1"], without, [], False) == "deployment.toml has no [database]"
    assert (
        why_not_run(GATES["D1"], with_it, [], False) == "needs consent = 'load', [consent] gives 'passive'"
    )
    assert why_not_run(GATES["S1"], without, [], True) != "deployment.toml has no [database]"
