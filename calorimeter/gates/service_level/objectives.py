"""Objectives of a scenario (T1), and whether the load that shows them was the load asked for (T3)."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, inf

from calorimeter.core.statistics import samples_needed
from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive, passed
from calorimeter.workload.scenario import Objective

PERCENTS = (50.0, 95.0, 99.0)
"""The percentiles that an objective can name."""


class ServedOperation(Model):
    """What became of the requests of one operation (`rest.list`; `*`: all) in the measured part of a run.

    `ok` were answered as expected; `dropped` were due and never sent. `response_ms` are percentiles of the
    response times of successes, by name (`p99`), from the time they were due.
    """

    operation: str
    requests: int
    ok: int
    dropped: int
    response_ms: dict[str, float]


class ServiceLevel(Model):
    """Evidence of T1. `whole` is whether the load ran to its end; the measured part lasted `window_s`.

    `ended_by` is the objective that ended it early (`run --abort-on-objective`), empty if none did.
    """

    run: str
    whole: bool
    window_s: float
    objectives: tuple[Objective, ...]
    served: tuple[ServedOperation, ...]
    ended_by: str = ""

    def of(self, operation: str) -> ServedOperation:
        """What became of the requests of one operation."""
        return next(each for each in self.served if each.operation == operation)


Finding = tuple[bool | None, str]
"""Whether an objective was missed, None if it is not decided; and a sentence with the figures."""


def objectives_hold(evidence: ServiceLevel) -> Judgement:
    """Whether every objective of the scenario was met; each of its bounds is judged from the raw samples.

    FAIL if one was missed, or if not one request was answered as expected, whatever the objectives are.
    INCONCLUSIVE if too few samples decide one, or if the run was cut short. The figures count the bounds:
    `kept` were met, `broken` were missed, `open` are not decided.
    """
    everything = evidence.of("*")
    figures = _figures(evidence)
    if not everything.requests:
        return inconclusive("no request was due in the measured part of the run", **figures)
    if not everything.ok:
        return failed(f"none of {everything.requests} requests was answered as expected", (), **figures)
    findings = [finding for each in evidence.objectives for finding in _judged(each, evidence)]
    missed = [sentence for wrong, sentence in findings if wrong]
    undecided = [sentence for wrong, sentence in findings if wrong is None]
    met = len(findings) - len(missed) - len(undecided)
    figures |= {"kept": met, "broken": len(missed), "open": len(undecided)}
    window = f"over the {evidence.window_s:.0f} s window"
    if missed:
        return failed(f"{_counted(missed)} missed {window}: {missed[0]}", missed, **figures)
    open_ = "" if evidence.whole else "the run was cut short"
    if evidence.ended_by:
        open_ = f"the load was ended early, but its samples meet the objectives: {evidence.ended_by}"
    if undecided:
        open_ = f"{_counted(undecided)} not decided {window}: {undecided[0]}"
    elif not findings:
        open_ = "the scenario defines no [[objectives]]"
    if open_:
        return inconclusive(open_, **figures)
    return passed(f"all objectives were met {window}", **figures)


def _counted(sentences: list[str]) -> str:
    return "1 objective was" if len(sentences) == 1 else f"{len(sentences)} objectives were"


def _judged(objective: Objective, evidence: ServiceLevel) -> Iterator[Finding]:
    """A finding for each bound of an objective."""
    found = evidence.of(objective.operation)
    for percent, bound in zip(PERCENTS, objective.percentiles_ms, strict=True):
        if bound is not None:
            yield _percentile(found, percent, bound)
    if objective.max_error_ratio is not None:
        yield _errors(found, objective.max_error_ratio)
    if (least := objective.min_per_s) is not None:
        rate = found.ok / evidence.window_s if evidence.window_s > 0 else 0.0
        enough = evidence.window_s >= 1 and (found.ok >= samples_needed(50) or rate < least)
        sentence = f"{found.operation}: {rate:.2f} successes/s, the objective is at least {least:g}"
        yield (rate < least if enough else None), sentence


def _percentile(found: ServedOperation, percent: float, bound_ms: float) -> Finding:
    name, least = f"p{percent:g}", samples_needed(percent)
    if found.requests and not found.ok:
        return True, f"{found.operation}: none of {found.requests} requests succeeded, so {name} is unknown"
    if found.ok < least:
        return None, f"{found.operation}: {name} needs {least} successes, but there are {found.ok}"
    value = found.response_ms[name]
    sentence = f"{found.operation}: {name} {value:.1f} ms, the objective is at most {bound_ms:g} ms"
    return value > bound_ms, sentence


def _errors(found: ServedOperation, bound: float) -> Finding:
    """The share of requests that were not answered as expected; dropped requests are among them."""
    if not found.requests:
        return None, f"{found.operation}: there is no request, so the share of errors is unknown"
    failures = found.requests - found.ok
    share = failures / found.requests
    count = f"{failures} of {found.requests} requests failed"
    sentence = f"{found.operation}: {count}, the objective is at most {bound:.4%}"
    least = _least(bound)
    if share <= bound and found.requests < least:
        return None, f"{sentence}; deciding this needs {least} requests"
    return share > bound, sentence


def _least(error_ratio: float) -> int:
    """Below 1/ratio requests not one failure fits under the ratio: then a clean record says little."""
    return ceil(1 / error_ratio) if error_ratio else samples_needed(50)


def deciding_s(evidence: ServiceLevel) -> float:
    """Length of such a load that decides every objective; `inf` if one's operation was not requested."""
    shares = [
        need / have if have else inf
        for objective in evidence.objectives
        for need, have in _needs(objective, evidence.of(objective.operation))
    ]
    return evidence.window_s * max(shares, default=0.0)


def _needs(objective: Objective, found: ServedOperation) -> Iterator[tuple[int, int]]:
    """How many requests decide each bound, and how many there are."""
    for percent, bound in zip(PERCENTS, objective.percentiles_ms, strict=True):
        if bound is not None:
            yield samples_needed(percent), found.ok
    if objective.max_error_ratio is not None:
        yield _least(objective.max_error_ratio), found.requests
    if objective.min_per_s is not None:
        yield samples_needed(50), found.ok


def _figures(evidence: ServiceLevel) -> dict[str, Figure]:
    figures: dict[str, Figure] = {"window_s": round(evidence.window_s, 3)}
    for each in evidence.served:
        name = "all" if each.operation == "*" else each.operation
        figures[f"{name}_requests"] = each.requests
        figures[f"{name}_ok"] = each.ok
        figures[f"{name}_per_s"] = round(each.ok / evidence.window_s, 3) if evidence.window_s else None
        for percent in PERCENTS:
            enough = each.ok >= samples_needed(percent)
            figures[f"{name}_p{percent:g}_ms"] = each.response_ms[f"p{percent:g}"] if enough else None
    return figures


class GeneratorRecord(Model):
    """Evidence of T3: what the processes that generate load recorded of themselves, about once a second.

    `windows` are those seconds within the measured part, of all processes. `busy` names each in which a
    process had no time left, `limited` each that pages mark as the generator's own (`core.generator`). Of
    `timed` arrivals (or, if users are closed, timers), `late` came later than a tenth of the median
    response time of their second, and than 2 ms. `percent` is the highest percentile that the scenario has
    an objective for, else the highest that pages show. `sent` requests were sent.
    """

    sent: int
    windows: int
    busy: tuple[str, ...]
    timed: int
    late: int
    limited: tuple[str, ...]
    percent: float
    cpu_share: float
    lag_p99_ms: float


def not_the_bottleneck(evidence: GeneratorRecord) -> Judgement:
    """Whether the deployment was measured, not the processes that loaded it.

    The generator can move the p-th percentile once it spoils more than (100 − p) % of all requests: that
    share may be late, and in that share of seconds a process may have had no time left.
    """
    share = (100 - evidence.percent) / 100
    figures: dict[str, Figure] = {
        "sent": evidence.sent,
        "late": evidence.late,
        "late_allowed": int(evidence.timed * share),
        "windows": evidence.windows,
        "windows_busy": len(evidence.busy),
        "windows_busy_allowed": int(evidence.windows * share),
        "largest_cpu_share": round(evidence.cpu_share, 3),
        "largest_lag_p99_ms": round(evidence.lag_p99_ms, 3),
    }
    if not evidence.windows or not evidence.timed:
        return inconclusive("the load generator recorded no data on itself in the measured part", **figures)
    if not evidence.sent:
        return inconclusive("no request was sent in the measured part of the run", **figures)
    if len(evidence.busy) > evidence.windows * share:
        count = f"{len(evidence.busy)} of {evidence.windows} seconds, at most {share:.0%} is allowed"
        why = f"the generator was the bottleneck in {count}: {evidence.busy[0]}"
        return failed(why, evidence.busy, **figures)
    late = (
        f"the generator was late by more than a tenth of the response time in {evidence.late:,} of "
        f"{evidence.timed:,} cases, at most {share:.0%} is allowed"
    )
    if evidence.late > evidence.timed * share:
        return failed(late, evidence.limited, **figures)
    return passed(f"{late}; its busiest process used at most {evidence.cpu_share:.0%} of a core", **figures)
