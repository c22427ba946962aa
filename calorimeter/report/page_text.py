"""The text of a page: the numbers at the top, environment, topology, method, limits."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable
from typing import Any

from calorimeter.core import statistics
from calorimeter.core.deployment import UNVERIFIED
from calorimeter.core.recorded import objective_test
from calorimeter.core.recorded.rundir import UPGRADED
from calorimeter.core.statistics import Interval
from calorimeter.core.verdict import Outcome
from calorimeter.report import circumstances, run_integrity
from calorimeter.report.capacity_result import CapacityResult
from calorimeter.report.circumstances import Rows, plain, table
from calorimeter.report.figures.style import seconds
from calorimeter.report.page_content import PageContent

_KNOWN = {
    *("schema_version", "id", "started", "deployment", "commands", "environment", "proxy_config"),
    *("scenario", "users", "ended", "stopped", "clean_stop", "load", "series", "side", "turn", "workers"),
    *("templates", "keystone_verified", objective_test.KEY),
}
"""Keys of run.json that have a place of their own; all others are shown as they are."""


def numbers(found: PageContent) -> list[tuple[str, str, str]]:
    """The numbers at the top of a page: name, value, and the small text below it."""
    load = found.load
    if load is None:
        return []
    total = load.operations.iloc[-1]
    rows = [("answered as expected", f"{load.rate.estimate:.1f} / s", _bounds(load.rate, "{:.1f}".format))]
    for name, shown in (("p50", "median response time"), ("p99", "99th percentile")):
        taken = Interval(*(float(total[f"response_{name}{end}"]) for end in ("", "_low", "_high")))
        if math.isfinite(taken.estimate):
            rows.append((shown, seconds(taken.estimate), _bounds(taken, seconds)))
    wrong = (int(total["n"]) - int(total["ok"])) / int(total["n"])
    return [
        *rows,
        ("not as expected", f"{wrong * 100:.2f} %", ""),
        ("requests", f"{int(total['n']):,}", f"in the {load.measured.length_s:.0f} s that were measured"),
    ]


def _bounds(interval: Interval, text: Any) -> str:
    return f"95 %: {text(interval.low)} to {text(interval.high)}" if interval.known else ""


def environment(found: PageContent) -> Rows:
    """The machine and the software of the run, from run.json."""
    rows = circumstances.machine(table(found.about.get("environment")))
    noted = {key: value for key, value in found.about.items() if key not in _KNOWN}
    rows += [(key, text) for key in sorted(noted) for text in [plain(noted[key])] if text]
    return rows


def _seconds(value: object) -> str | None:
    return f"{value:g} s" if isinstance(value, int | float) and value else None


def topology(found: PageContent) -> Rows:
    """The parts of the deployment, from its file, and the proxy's configuration; without secrets."""
    return circumstances.topology(found.deployment, found.about)


def capacity(found: PageContent) -> str:
    """Whether the objectives hold at this load, and the capacity if it was searched; empty without load."""
    load = found.load
    if load is None:
        return ""
    # Closed users offer no more than the deployment answers: only open arrivals have a rate of their own.
    is_open = bool(table(found.about.get("load")).get("arrivals"))
    measured_s = load.measured.length_s if is_open else 0.0
    offered = f"{int(load.operations['n'].iloc[-1]) / measured_s:.1f}" if measured_s else ""
    asked = f"{offered} requests/s were offered and " if offered else ""
    rate = f"{asked}{load.rate.estimate:.1f} requests/s were answered as expected"
    outcomes = [each.judgement.outcome for each in found.verdicts.verdicts if each.gate == "T1"]
    words = {
        Outcome.PASS: "At this load all objectives of the scenario hold (gate T1)",
        Outcome.FAIL: "At this load the objectives of the scenario do not hold (gate T1)",
    }
    unknown = "No verdict says whether the objectives of the scenario hold at this load (gate T1)"
    objectives = words.get(outcomes[0], unknown) if outcomes else unknown
    return f"{objectives}: {rate}. {_searched(found.capacity)}"


def _searched(capacity: CapacityResult | None) -> str:
    """The result of the search that this run belongs to, if there was one."""
    if capacity is None:
        return "One run shows one load; calorimeter capacity finds the highest load at which they hold."
    state = "was held in this run" if capacity.confirmed else "was not confirmed"
    above = f"at {capacity.broken:g}: {capacity.limit}" if capacity.broken else capacity.limit
    return (
        f"The search that this run belongs to found a capacity of {capacity.capacity:g} {capacity.unit}, "
        f"which {state}; {above}."
    )


def run(found: PageContent) -> Rows:
    """The load that was requested, from run.json and the scenario."""
    about, load = found.about, found.load
    if load is None:
        return []
    asked = table(about.get("load"))
    turn, closed = about.get("turn"), "closed: each user waits for its answer"
    rows = [
        ("Scenario", about.get("scenario")),
        ("Templates", _templates(about) or None),
        ("Seed", _of_scenario(found.scenario, "seed")),
        ("Arrivals", (asked.get("arrivals") or closed) if asked else None),
        ("Users", about.get("users")),
        ("Generating processes", len(run_integrity.workers(found.about)) or None),
        ("Scheduling of these processes", _scheduling(found) or None),
        ("Sources", f"{load.sources:,} addresses"),
        ("Duration", _seconds(asked.get("duration_s"))),
        ("Warm-up", _seconds(asked.get("warm_up_s"))),
        ("Stages", asked.get("stages") or None),
        ("Began and ended", f"{about.get('started')} to {about.get('ended', 'unknown')}"),
        ("Ended because", _ENDS.get(str(about.get("stopped")))),
        ("Ended by an objective", test.sentence if (test := objective_test.of(about)) else None),
        ("Repeats", "none: one run" if turn is None else f"turn {turn} of series {about.get('series')}"),
    ]
    return [(name, plain(value)) for name, value in rows if value is not None]


def _templates(about: dict[str, Any]) -> str:
    noted = table(about.get("templates"))
    return ", ".join(f"{name} (SHA-256 {str(noted[name])[:12]}…)" for name in sorted(noted))


def limits(found: PageContent) -> list[str]:
    """Limits of this run besides its gaps."""
    limits = [*run_integrity.limits(found.about), *_bottleneck(found), *_judged_elsewhere(found)]
    limits += _unverified(found)
    if found.load is not None:
        limits.append("One run on one machine: intervals are within this run only.")
    else:
        limits.append("One run on one machine.")
    return limits


def _unverified(found: PageContent) -> list[str]:
    """A sentence if TLS certificates were not verified: by deployment.toml, or Keystone's by its cloud."""
    if found.deployment is not None and found.deployment.tls.warning:
        return [found.deployment.tls.warning]
    if found.about.get("keystone_verified") is False:
        return [UNVERIFIED.format(who="Keystone", key="clouds.yaml")]
    return []


def _scheduling(found: PageContent) -> str:
    """How the system scheduled the generating processes; empty if that was not recorded."""
    noted = (str(each.get("scheduling", "")) for each in run_integrity.workers(found.about))
    return ", ".join(sorted(set(filter(None, noted))))


def _bottleneck(found: PageContent) -> list[str]:
    """A sentence about the seconds in which the generator was the bottleneck, if there are any."""
    if found.polled is not None and len(found.polled.workers):
        windows, invalid = len(found.polled.workers), len(found.polled.invalid)
        where = "grey in the figures over time; reasons in tables/invalid.csv"
    else:
        windows, invalid = (
            sum(
                value
                for each in run_integrity.workers(found.about)
                if isinstance(value := each.get(key), int)
            )
            for key in ("windows", "invalid_windows")
        )
        where = "counted in run.json; which seconds is not known"
    if not invalid:
        return []
    return [
        f"In {invalid} of {windows} seconds of its processes the generator itself was the bottleneck "
        f"({where}). Requests of those seconds are in all tables and percentiles, which it may have "
        "worsened. Gate T3 judges whether these seconds are too many."
    ]


def _judged_elsewhere(found: PageContent) -> list[str]:
    """A sentence if gate T1 was judged over another window: by another version of the suite."""
    if found.load is None:
        return []
    measured_s = found.load.measured.length_s
    windows = [
        float(window_s)
        for each in found.verdicts.verdicts
        if each.gate == "T1" and isinstance(window_s := each.judgement.figures.get("window_s"), int | float)
    ]
    return [
        f"Gate T1 was judged over {window_s:.1f} s, the tables of this page are of {measured_s:.1f} s: "
        "calorimeter verify --run RUN --gates T judges the run again."
        for window_s in windows
        if abs(window_s - measured_s) > 0.001
    ]


_ENDS = {
    "ended": "its duration had elapsed",
    UPGRADED: "the upgrade beside it was done",
    "interrupted": "it was interrupted",
    objective_test.STOPPED: "an objective was missed (--abort-on-objective)",
    "failed": "the generator failed: figures are of the requests recorded until then",
    "None": "not known: the run was killed or is still running",
}


def _of_scenario(text: str | None, key: str) -> Any:
    try:
        return tomllib.loads(text or "").get(key)
    except (ValueError, RecursionError):  # TOMLDecodeError is a ValueError; so is a number of 5,000 digits
        return None


def method(found: PageContent) -> list[str]:
    """How the figures were made, in sentences."""
    load = found.load
    if load is None:
        return ["Gates were judged from the evidence kept beside this page; no load was recorded."]
    begins, ends = (
        (ns - load.axis.start_ns) / 1e9 for ns in (load.measured.first_ns, load.measured.last_ns)
    )
    return [
        f"{load.count:,} requests from {load.sources:,} source addresses; the last answer came "
        f"{load.duration_s:.1f} s after the first request was due.",
        "Response time counts from the moment a request was due, so it includes any wait in the "
        "generator; service time counts from when it was sent. Latencies count successes only; failures "
        "are counted separately.",
        "Percentiles are exact, from every sample, interpolated between the two nearest ranks (type 7 "
        f"of Hyndman and Fan). One is shown only where at least {statistics.SHOWN_BEYOND} samples lie "
        "beyond it.",
        f"The measured part is {begins:.1f} s to {ends:.1f} s after the first request was due, without the "
        "scenario's warm-up and clean-up; a request belongs to it if it was due in it. The numbers at the "
        "top, the tables of operations and stacks, the percentile curve and the figures against load cover "
        "the measured part, and so do the verdicts of gates T1 and T3. Figures over time and the table of "
        "errors cover the whole run.",
        "Whether the measured part is steady is reported, and excludes nothing. "
        f"{statistics.WARM_UP_RULE} {load.steadiness.why}",
        f"Intervals are 95 % bootstraps over whole windows of {load.blocks.bin_s} s, not over requests, "
        f"and need {statistics.MINIMUM_WINDOWS} windows. This is one run: they do not show how much "
        "another run would differ.",
        *([statistics.SEQUENTIAL_RULE] if objective_test.of(found.about) else ()),
    ]


PARTS: tuple[Callable[[PageContent], Any], ...] = (
    *(environment, topology, method, numbers, run, limits, capacity),
)
"""All text of a page, by the names that its templates use."""
