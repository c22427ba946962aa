"""Gates E and L repeatedly: false alarms on a healthy lab, misses under sabotage.

Sabotage is each sabotage of an engine, strangers on the queue, and tracing switched off during the gates.
With `--all-gates` every gate except E9 runs under each: the expected gates must be FAIL, or INCONCLUSIVE,
and all others PASS. `heartbeat` is no sabotage: with a short heartbeat E7 measures when the broker drops
a frozen engine.

Uses a lab of its own, or `--lab NAME`. Prints one line per run, and the counts; exit status 1 if a run was
unexpected.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from calorimeter.core import deployment as deployments
from calorimeter.core import paths
from calorimeter.core.deployment import Deployment
from calorimeter.core.verdict import Outcome
from calorimeter.lab.sabotage import engine_sabotage
from tests.gates.engines.test_sabotage_engines import (
    ALL,
    CALLS,
    CASES,
    MANY,
    STACKS,
    STRANGERS,
    Case,
    once_traced,
)
from tests.gates.favouring_consumer import favourite
from tests.soak.labs import calorimeter, judged, lab

NAME = "soak-engines"
WAIVED = {"E9"}
HEARTBEAT_S = 6
"""Short enough for the broker to drop a frozen engine while E7 waits for the RPC timeout."""


@contextmanager
def changed(what: str, deployment: Deployment) -> Iterator[None]:
    """A sabotage of an engine, healed when the context is left."""
    done = calorimeter("lab", "sabotage", what, "--name", deployment.name)
    assert done.returncode == 0, done.stderr
    try:
        yield
    finally:
        healed = calorimeter("lab", "heal", "--name", deployment.name).returncode == 0
    assert healed, f"{what} could not be healed"


@contextmanager
def _heartbeat(deployment: Deployment) -> Iterator[None]:
    """The last engine and the broker agree on a heartbeat of `HEARTBEAT_S`; no sabotage."""
    options = {"oslo_messaging_rabbit": {"heartbeat_timeout_threshold": HEARTBEAT_S}}
    engine_sabotage.changed(deployment.name, options)
    try:
        yield
    finally:
        engine_sabotage.heal(deployment.name)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of sabotage: the gates to run, and patterns of the expected verdicts other than PASS.

    `lasting` is in force during all runs, `each_run` is done in each; the `either` gates may be FAIL or
    PASS.
    """

    gates: str
    expected: dict[str, str]
    either: str = ""
    lasting: Callable[[Deployment], AbstractContextManager[None]] = lambda _: nullcontext()
    each_run: Callable[[Deployment], AbstractContextManager[None]] = lambda _: nullcontext()
    calls: int = CALLS

    def matches(self, verdicts: dict[str, str]) -> bool:
        """Whether exactly the expected gates did not pass, each with its expected verdict."""
        expected = self.expected | {
            gate: "FAIL: " for gate in self.either.split() if gate in verdicts and gate not in self.expected
        }
        return verdicts.keys() == expected.keys() and all(
            re.match(pattern, verdicts[gate]) for gate, pattern in expected.items()
        )


def _kind(case: Case, *, long: bool, **how: Any) -> Kind:
    """The kind of a case, with its own gates or with all gates."""
    expected = dict.fromkeys(case.red.split(), "FAIL: ")
    if not long:
        return Kind(case.gates, expected, **how)
    expected |= dict.fromkeys(case.unjudged.split(), "INCONCLUSIVE: .*see gate E1")
    return Kind(ALL, expected, case.either, **how)


def kinds(*, long: bool = False) -> dict[str, Kind]:
    """The kinds of sabotage of `test_sabotage_engines` by name; a stranger's with its priority."""
    gates = ALL if long else "E1,E4"
    blind = [gate for gate in gates.split(",") if gate != "E1"]
    return {
        **{what: _kind(case, long=long, lasting=partial(changed, what)) for what, case in CASES.items()},
        **{
            f"stranger-{priority}": _kind(case, long=long, each_run=partial(favourite, priority=priority))
            for priority, case in STRANGERS.items()
        },
        "tracing-off": Kind(
            gates,
            dict.fromkeys(blind, "INCONCLUSIVE: .*tracing"),
            each_run=lambda deployment: once_traced(
                deployment, lambda api: api.set_tracing(False), again=long
            ),
            calls=MANY,
        ),
        "heartbeat": Kind(
            "E7", {"E7": "PASS: .*the broker dropped its consumers after"}, lasting=_heartbeat
        ),
    }


def not_passed(name: str, gates: str, *strength: str, shown: Collection[str] = ()) -> dict[str, str]:
    """Run the gates on the lab: gate → outcome and sentence, for those not PASS and the `shown` ones."""
    return {
        each.gate: f"{each.judgement.outcome}: {each.judgement.why}"
        for each in judged(name, gates, *strength).verdicts
        if each.gate in shown or (each.judgement.outcome is not Outcome.PASS and each.gate not in WAIVED)
    }


def healthy(name: str, runs: int, gates: str, strength: tuple[str, ...]) -> int:
    """Number of runs with a false alarm."""
    wrong = 0
    for number in range(runs):
        began = time.monotonic()
        found = not_passed(name, gates, *strength)
        wrong += bool(found)
        print(f"run {number + 1}: {time.monotonic() - began:.0f} s {found or 'all PASS'}", flush=True)
    print(f"healthy: {wrong} false alarms in {runs} runs of {gates} {' '.join(strength)}", flush=True)
    return wrong


def sabotaged(name: str, runs: int, chosen: dict[str, Kind]) -> int:
    """Number of runs under sabotage with unexpected verdicts."""
    deployment = deployments.read(paths.lab(name) / "deployment.toml")
    wrong = 0
    for what, kind in chosen.items():
        missed = 0
        began = time.monotonic()
        with kind.lasting(deployment):
            for number in range(runs):
                with kind.each_run(deployment):
                    strength = ("--calls", str(kind.calls), "--stacks", str(STACKS))
                    verdicts = not_passed(name, kind.gates, *strength, shown=kind.expected)
                if not kind.matches(verdicts):
                    missed += 1
                    print(f"{what} run {number + 1}: {verdicts}", flush=True)
                    continue
                shown = ", ".join(f"{gate} {why.partition(':')[0]}" for gate, why in verdicts.items())
                print(f"{what} run {number + 1}: {shown}; else PASS", flush=True)
        print(f"{what}: {runs - missed} of {runs} found, {time.monotonic() - began:.0f} s", flush=True)
        wrong += missed
    return wrong


def main() -> int:
    """Run the soak. Exit status 1 if a run was unexpected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30, help="runs on the healthy lab (default 30)")
    parser.add_argument("--sabotages", type=int, default=20, help="runs of each sabotage (default 20)")
    parser.add_argument("--gates", default="E,L", help="gates on the healthy lab (default: E,L)")
    parser.add_argument(
        "--calls", type=int, default=1000, help="calls of E2 and E4 on the healthy lab (default 1000)"
    )
    parser.add_argument("--stacks", type=int, default=42, help="stacks of a burst there (default 42)")
    parser.add_argument(
        "--only",
        choices=[*kinds(), "none"],
        action="append",
        help="kind of sabotage (may be repeated; default: all)",
    )
    parser.add_argument(
        "--all-gates", action="store_true", help="run every gate except E9 under each sabotage"
    )
    parser.add_argument("--lab", help="running lab, left up (default: one of its own)")
    given = parser.parse_args()
    chosen = {
        what: kind
        for what, kind in kinds(long=given.all_gates).items()
        if given.only is None or what in given.only
    }
    with lab(given.lab, NAME) as name:
        strength = ("--calls", str(given.calls), "--stacks", str(given.stacks))
        wrong = healthy(name, given.runs, given.gates, strength) if given.runs else 0
        wrong += sabotaged(name, given.sabotages, chosen)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
