"""Gates E and L over and over: false alarms on a healthy lab, misses under each sabotage of an engine,
under strangers on the queue, and where tracing is switched off meanwhile. With `--all-gates` each of them
meets every gate but E9: what must be red is, what cannot be judged says so, and nothing else is.
`heartbeat` is no sabotage: with a short one gate E7 measures when the broker gives a frozen engine up.

Brings a lab of its own up and takes it down, or uses `--lab NAME`. Prints one line a run that was not as it
should be, and the counts; exit status 1 where there was one.
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
"""So short that the broker gives a frozen engine up while E7 waits for the RPC timeout anyway."""


@contextmanager
def changed(what: str, deployment: Deployment) -> Iterator[None]:
    """A sabotage of an engine, healed in the end."""
    done = calorimeter("lab", "sabotage", what, "--name", deployment.name)
    assert done.returncode == 0, done.stderr
    try:
        yield
    finally:
        healed = calorimeter("lab", "heal", "--name", deployment.name).returncode == 0
    assert healed, f"{what} could not be healed"


@contextmanager
def _heartbeat(deployment: Deployment) -> Iterator[None]:
    """No sabotage: the last engine and the broker agree on a heartbeat of `HEARTBEAT_S`."""
    options = {"oslo_messaging_rabbit": {"heartbeat_timeout_threshold": HEARTBEAT_S}}
    engine_sabotage.changed(deployment.name, options)
    try:
        yield
    finally:
        engine_sabotage.heal(deployment.name)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of sabotage: the gates that are run, and what those of them must say that do not just pass.

    `lasting` is there during all runs, `anew` is done in each; the `either` gates may be FAIL or not.
    """

    gates: str
    wanted: dict[str, str]
    either: str = ""
    lasting: Callable[[Deployment], AbstractContextManager[None]] = lambda _: nullcontext()
    anew: Callable[[Deployment], AbstractContextManager[None]] = lambda _: nullcontext()
    calls: int = CALLS

    def found(self, said: dict[str, str]) -> bool:
        """Whether every gate that did not pass is wanted, and all that are say what they must."""
        wanted = self.wanted | {
            gate: "FAIL: " for gate in self.either.split() if gate in said and gate not in self.wanted
        }
        return said.keys() == wanted.keys() and all(
            re.match(begin, said[gate]) for gate, begin in wanted.items()
        )


def _kind(case: Case, *, long: bool, **how: Any) -> Kind:
    """What a case must say, of its own gates or of all that there are."""
    wanted = dict.fromkeys(case.red.split(), "FAIL: ")
    if not long:
        return Kind(case.gates, wanted, **how)
    wanted |= dict.fromkeys(case.unjudged.split(), "INCONCLUSIVE: .*see gate E1")
    return Kind(ALL, wanted, case.either, **how)


def kinds(*, long: bool = False) -> dict[str, Kind]:
    """What `test_sabotage_engines` does once, by name; a stranger's with its priority."""
    gates = ALL if long else "E1,E4"
    blind = [gate for gate in gates.split(",") if gate != "E1"]
    return {
        **{what: _kind(case, long=long, lasting=partial(changed, what)) for what, case in CASES.items()},
        **{
            f"stranger-{priority}": _kind(case, long=long, anew=partial(favourite, priority=priority))
            for priority, case in STRANGERS.items()
        },
        "tracing-off": Kind(
            gates,
            dict.fromkeys(blind, "INCONCLUSIVE: .*tracing"),
            anew=lambda deployment: once_traced(deployment, lambda api: api.set_tracing(False), again=long),
            calls=MANY,
        ),
        "heartbeat": Kind(
            "E7", {"E7": "PASS: .*the broker dropped its consumers after"}, lasting=_heartbeat
        ),
    }


def not_green(name: str, gates: str, *strength: str, shown: Collection[str] = ()) -> dict[str, str]:
    """One run of the gates on the lab: gate → outcome and why, of those that did not pass and the shown."""
    return {
        each.gate: f"{each.judgement.outcome}: {each.judgement.why}"
        for each in judged(name, gates, *strength).verdicts
        if each.gate in shown or (each.judgement.outcome is not Outcome.PASS and each.gate not in WAIVED)
    }


def healthy(name: str, runs: int, gates: str, strength: tuple[str, ...]) -> int:
    """How many of so many runs gave a false alarm."""
    wrong = 0
    for number in range(runs):
        began = time.monotonic()
        found = not_green(name, gates, *strength)
        wrong += bool(found)
        print(f"run {number + 1}: {time.monotonic() - began:.0f} s {found or 'all green'}", flush=True)
    print(f"healthy: {wrong} false alarms in {runs} runs of {gates} {' '.join(strength)}", flush=True)
    return wrong


def sabotaged(name: str, runs: int, chosen: dict[str, Kind]) -> int:
    """How many of so many runs of each sabotage were not red in exactly the right gates."""
    deployment = deployments.read(paths.lab(name) / "deployment.toml")
    wrong = 0
    for what, kind in chosen.items():
        missed = 0
        began = time.monotonic()
        with kind.lasting(deployment):
            for number in range(runs):
                with kind.anew(deployment):
                    strength = ("--calls", str(kind.calls), "--stacks", str(STACKS))
                    said = not_green(name, kind.gates, *strength, shown=kind.wanted)
                if not kind.found(said):
                    missed += 1
                    print(f"{what} run {number + 1}: {said}", flush=True)
                    continue
                red = ", ".join(f"{gate} {why.partition(':')[0]}" for gate, why in said.items())
                print(f"{what} run {number + 1}: {red}; else PASS", flush=True)
        print(f"{what}: {runs - missed} of {runs} found, {time.monotonic() - began:.0f} s", flush=True)
        wrong += missed
    return wrong


def main() -> int:
    """Read the command line, run, and count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30, help="runs on the healthy lab (default 30)")
    parser.add_argument("--sabotages", type=int, default=20, help="runs of each sabotage (default 20)")
    parser.add_argument("--gates", default="E,L", help="gates on the healthy lab (default: E,L)")
    parser.add_argument("--calls", type=int, default=1000, help="strength on the healthy lab (1000)")
    parser.add_argument("--stacks", type=int, default=42, help="stacks of a burst there (42)")
    parser.add_argument(
        "--only", choices=[*kinds(), "none"], action="append", help="this kind of sabotage (default: all)"
    )
    parser.add_argument("--all-gates", action="store_true", help="every gate under each sabotage")
    parser.add_argument("--lab", help="a lab that is up")
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
