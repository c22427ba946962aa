"""All gates on every shape of deployment: false alarms on healthy labs, misses under sabotage.

For each shape a lab comes up, and all gates run on it some times: each must be PASS, NOT RUN with a reason,
waived in the lab's own file, or red for a reason that is in the shape's own files (`RED`). Then each
sabotage is applied, and the gates that `lab sabotage` says it turns red are run: one that ran on the
healthy lab must be FAIL, and none of them INCONCLUSIVE. A sabotage that changes nothing of this shape is
left out, with a line.

Prints one line per run, and the counts; exit status 1 if a run was unexpected. It needs root.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from calorimeter.config.haproxy import haproxy_writer
from calorimeter.core.errors import InputError
from calorimeter.core.verdict import Outcome, Verdict
from calorimeter.lab import lab_state
from calorimeter.lab.daemons import haproxy
from calorimeter.lab.sabotage.found_by import FOUND_BY
from calorimeter.lab.sabotage.proxy_sabotage import SABOTAGES
from tests.soak.labs import calorimeter, judged, lab

NAME = "soak-matrix"

SHAPES: Mapping[str, str] = {
    "lab": "",
    "guide": "--profile guide",
    "kolla": "--profile kolla",
    "osa": "--profile osa",
    "charm": "--profile charm",
    "brokers": "--brokers 3 --messaging quorum",
    "tls": "--tls proxy,broker",
    "pair": "--proxies 2",
    "pair-peers": "--proxies 2 --peers",
    "shared-host": "--engines 4 --engines-per-host 2",
    "heat-27": "--heat 27",
    "sticky": "--balance roundrobin --stick-on src",
}
"""Name → options of `lab up`."""

RED: Mapping[str, Mapping[str, str]] = {
    "guide": {
        **dict.fromkeys(("A6", "H1", "H2", "H3", "H4", "H5", "S6", "S7"), "no server line says `check`"),
        "A7": "redispatch cannot work with the map-based hash",
        "A8": "timeout server is not longer than rpc_response_timeout",
        **dict.fromkeys(("E7", "E8"), "timeout server races rpc_response_timeout"),
    },
    "kolla": {
        "A8": "timeout server 1m is not longer than rpc_response_timeout",
        **dict.fromkeys(("E7", "E8"), "timeout server races rpc_response_timeout"),
    },
}
"""Shape → gates that are red on it for a reason in its own files, and that reason. E7 and E8 may pass: the
two timers race."""

MAY_PASS = frozenset(("E7", "E8"))

STRENGTH = ("--sources", "300", "--calls", "300", "--stacks", "15")

Gates = Mapping[str, Verdict]


def run(name: str, gates: Collection[str], keep: Path | None) -> Gates:
    """Gate → verdict of one run of some gates, or of all."""
    return {each.gate: each for each in judged(name, ",".join(gates), *STRENGTH, keep=keep).verdicts}


def said(verdict: Verdict) -> str:
    """A verdict in one line."""
    return f"{verdict.gate} {verdict.judgement.outcome}: {verdict.judgement.why}"


def alarms(found: Gates, red: Mapping[str, str] = {}) -> list[str]:
    """The verdicts that a healthy lab must not have, and those of `red` that are not FAIL."""
    wrong = [
        said(verdict)
        for verdict in found.values()
        if verdict.judgement.outcome not in (Outcome.PASS, Outcome.NOT_RUN)
        and not verdict.waived
        and not (verdict.gate in red and verdict.judgement.outcome is Outcome.FAIL)
    ]
    missing = [
        f"{gate} is not FAIL, although {why}"
        for gate, why in red.items()
        if gate in found and gate not in MAY_PASS and found[gate].judgement.outcome is not Outcome.FAIL
    ]
    return wrong + missing


def changes_nothing(name: str, what: str) -> bool:
    """Whether a sabotage of the proxy leaves the configuration of this lab as it is."""
    if what not in SABOTAGES:
        return False
    opened = lab_state.open_lab(name)
    part = opened.topology.proxy_parts[0]
    own = haproxy.config(opened, part)
    return haproxy_writer.render(SABOTAGES[what].proxy(opened, own)) == haproxy_writer.render(own)


def missed(name: str, what: str, judgeable: Collection[str], keep: Path | None = None) -> list[str] | None:
    """What was wrong under a sabotage; None if it does not apply to this lab."""
    expected = [gate for gate in FOUND_BY[what] if gate in judgeable]
    if not expected or changes_nothing(name, what):
        return None
    done = calorimeter("lab", "sabotage", what, "--name", name)
    if done.returncode == 2:
        print(f"    {what}: {done.stderr.strip().splitlines()[-1]}", flush=True)
        return None
    try:
        if done.returncode != 0:
            return [f"it could not be applied: {done.stderr.strip()[-300:]}"]
        found = run(name, expected, keep)
    finally:
        calorimeter("lab", "heal", "--name", name)
    red = [gate for gate in expected if found[gate].judgement.outcome is Outcome.FAIL]
    unclear = [
        said(found[gate]) for gate in expected if found[gate].judgement.outcome is Outcome.INCONCLUSIVE
    ]
    print(f"    {what}: {', '.join(red) or 'no gate'} red of {', '.join(expected)}", flush=True)
    return unclear if red else [said(found[gate]) for gate in expected]


def walked(
    shape: str, runs: int, sabotages: Collection[str], gates: Collection[str], keep: Path | None
) -> int:
    """Walk one shape; the number of unexpected runs."""
    wrong, judgeable = 0, {gate for found_by in FOUND_BY.values() for gate in found_by}
    with lab(None, NAME, *shlex.split(SHAPES[shape])) as name:
        for number in range(runs):
            began = time.monotonic()
            found = run(name, gates, keep)
            unexpected = alarms(found, RED.get(shape, {}))
            wrong += bool(unexpected)
            away = {gate: v for gate, v in found.items() if v.judgement.outcome is Outcome.NOT_RUN}
            judgeable = set(found) - set(away)
            how = "; ".join(unexpected) or "as expected"
            print(f"{shape}, run {number + 1}: {time.monotonic() - began:.0f} s, {how}", flush=True)
            if number == 0:
                print("".join(f"    {said(verdict)}\n" for verdict in away.values()), end="", flush=True)
        for what in sabotages:
            problems = missed(name, what, judgeable, keep)
            wrong += bool(problems)
            if problems:
                print(f"{shape}, {what}: {'; '.join(problems)}", flush=True)
    return wrong


def main() -> int:
    """Walk the shapes. Exit status 1 if a run was unexpected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, action="append", help="shape (default: all)")
    parser.add_argument("--runs", type=int, default=3, help="runs on the healthy lab (default 3)")
    parser.add_argument("--gates", default="", help="gates of the healthy runs (default: all)")
    parser.add_argument(
        "--only", choices=FOUND_BY, action="append", help="sabotage (default: all); with --no-sabotage none"
    )
    parser.add_argument("--no-sabotage", action="store_true", help="run on the healthy labs only")
    parser.add_argument("--keep", type=Path, help="folder to which the run folders go (default: none)")
    asked = parser.parse_args()
    if os.geteuid() != 0:
        print("bin/soak matrix: labs with hosts of their own need root", file=sys.stderr)
        return 2
    with suppress(InputError):
        lab_state.folder(NAME)
    sabotages = [] if asked.no_sabotage else asked.only or list(FOUND_BY)
    gates = [gate for gate in asked.gates.split(",") if gate]
    began = time.monotonic()
    wrong = sum(walked(shape, asked.runs, sabotages, gates, asked.keep) for shape in asked.shape or SHAPES)
    print(f"{wrong} runs were unexpected; {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
