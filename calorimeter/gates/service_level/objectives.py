"""Service levels: what a scenario promises, and whether the load that shows it was the load asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, inf

from calorimeter.core.statistics import samples_needed
from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive, passed
from calorimeter.workload.scenario import Objective

PERCENTS = (50.0, 95.0, 99.0)
"""The percentiles that an objective can name."""


class Served(Model):
    """What became of the requests of one operation (`rest.list`; `*`: all) in the measured part of a run.

    `ok` were answered as expected; `dropped` were due and never sent. `response_ms` are percentiles of the
    response times of successes, by name (`p99`), from the time they were due.
    """

    operation: str
    requests: int
    ok: int
    dropped: int
    response_ms: dict[str, float]


class Service(Model):
    """Evidence of T1. `whole` is whether the load ran to its end; the measured part took `window_s`."""

    run: str
    whole: bool
    window_s: float
    objectives: tuple[Objective, ...]
    served: tuple[Served, ...]

    def of(self, operation: str) -> Served:
        """What became of one operation."""
        return next(each for each in self.served if each.operation == operation)


def objectives_hold(evidence: Service) -> Judgement:
    """Whether every promise of the scenario was kept, each judged from the raw samples.

    One broken promise is FAIL. A promise that too few samples speak about is not kept but open, and so is
    everything of a run that was cut short: INCONCLUSIVE. Where nothing at all was answered as expected
    nothing is kept, whatever was promised.
    """
    everything = evidence.of("*")
    figures = _figures(evidence)
    if not everything.requests:
        return inconclusive("no request was due in the measured part of the run", **figures)
    if not everything.ok:
        return failed(f"not one of {everything.requests} requests was answered as expected", (), **figures)
    judged = [promise for objective in evidence.objectives for promise in _promises(objective, evidence)]
    broken = [said for wrong, said in judged if wrong]
    open_ = [said for wrong, said in judged if wrong is None]
    kept = len(judged) - len(broken) - len(open_)
    figures |= {"kept": kept, "broken": len(broken), "open": len(open_)}
    if broken:
        return failed(f"{_counted(broken)} broken: {broken[0]}", broken, **figures)
    if missing := _missing(evidence, judged, open_):
        return inconclusive(missing, **figures)
    told = "the promise was" if kept == 1 else f"all {kept} promises were"
    return passed(f"{told} kept in {evidence.window_s:.0f} s", **figures)


def _missing(
    evidence: Service, judged: Sequence[tuple[bool | None, str]], open_: Sequence[str]
) -> str | None:
    """Why promises of which none is broken are nevertheless not kept."""
    if not judged:
        return "the scenario promises nothing ([[objectives]])"
    if open_:
        return f"{_counted(open_)} open: {open_[0]}"
    return None if evidence.whole else "the run was cut short"


def _counted(promises: Sequence[str]) -> str:
    return "1 promise is" if len(promises) == 1 else f"{len(promises)} promises are"


def _promises(objective: Objective, evidence: Service) -> Iterator[tuple[bool | None, str]]:
    """Each promise of an objective: broken, or None where it cannot be told; and why."""
    found = evidence.of(objective.operation)
    name = objective.operation
    for percent, bound in zip(PERCENTS, objective.percentiles_ms, strict=True):
        if bound is not None:
            yield _percentile(found, percent, bound)
    if objective.max_error_ratio is not None:
        yield _errors(found, objective.max_error_ratio)
    if objective.min_per_s is not None:
        rate = found.ok / evidence.window_s if evidence.window_s > 0 else 0.0
        said = f"{name}: {rate:.2f} successes/s, at least {objective.min_per_s:g} promised"
        enough = evidence.window_s >= 1 and (found.ok >= samples_needed(50) or rate < objective.min_per_s)
        yield (rate < objective.min_per_s if enough else None), said


def telling_s(evidence: Service) -> float:
    """How long such a load must last for every promise to be told; `inf` where an operation is missing."""
    wanted = [
        need / have if have else inf
        for objective in evidence.objectives
        for need, have in _wanted(objective, evidence.of(objective.operation))
    ]
    return evidence.window_s * max(wanted, default=0.0)


def _wanted(objective: Objective, found: Served) -> Iterator[tuple[int, int]]:
    """How many requests each promise takes to be told, and how many there are."""
    for percent, bound in zip(PERCENTS, objective.percentiles_ms, strict=True):
        if bound is not None:
            yield samples_needed(percent), found.ok
    if objective.max_error_ratio is not None:
        yield _least(objective.max_error_ratio), found.requests
    if objective.min_per_s is not None:
        yield samples_needed(50), found.ok


def _least(error_ratio: float) -> int:
    """Below 1/ratio requests not one failure fits under the ratio: then a clean record says little."""
    return ceil(1 / error_ratio) if error_ratio else samples_needed(50)


def _percentile(found: Served, percent: float, bound_ms: float) -> tuple[bool | None, str]:
    name, least = f"p{percent:g}", samples_needed(percent)
    if found.requests and not found.ok:
        return True, f"{found.operation}: none of {found.requests} requests succeeded, {name} promised"
    if found.ok < least:
        return None, f"{found.operation}: {name} needs {least} successes, there are {found.ok}"
    value = found.response_ms[name]
    return value > bound_ms, f"{found.operation}: {name} {value:.1f} ms, at most {bound_ms:g} promised"


def _errors(found: Served, bound: float) -> tuple[bool | None, str]:
    """The share of requests not answered as expected; what was dropped was not answered."""
    if not found.requests:
        return None, f"{found.operation}: no request, so no share of errors"
    failures = found.requests - found.ok
    share = failures / found.requests
    said = f"{found.operation}: {failures} of {found.requests} failed, at most {bound:.4%} promised"
    least = _least(bound)
    if share <= bound and found.requests < least:
        return None, f"{said}, which takes {least} requests to tell"
    return share > bound, said


def _figures(evidence: Service) -> dict[str, Figure]:
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


class Generator(Model):
    """Evidence of T3: what the processes that generate load noted of themselves, about once a second.

    `windows` are those seconds within the measured part, of all processes. `busy` tells each in which a
    process had no time left, `limited` each that pages mark as the generator's own
    (`core.generator`). Of `timed` arrivals (or, where users are closed, timers), `late` came later
    than a tenth of the median response time of their second, and than 2 ms. `percent` is the highest
    percentile that the scenario promises, else the highest that pages show. `sent` requests were sent.
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


def not_the_bottleneck(evidence: Generator) -> Judgement:
    """Whether what was measured is the deployment's doing, not that of the processes that loaded it.

    What the generator spoils can move the p-th percentile once it is more than (100 − p) % of all: so much
    may be late, and in so many seconds a process may have had no time left.
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
        return inconclusive("the processes that generate load noted nothing of themselves", **figures)
    if not evidence.sent:
        return inconclusive("no request was sent in the measured part of the run", **figures)
    late = f"{evidence.late:,} of {evidence.timed:,} times the generator was late by more than a tenth"
    if len(evidence.busy) > evidence.windows * share:
        count = f"{len(evidence.busy)} of {evidence.windows} seconds"
        said = f"the generator was the bottleneck in {count}: {evidence.busy[0]}"
        return failed(said, evidence.busy, **figures)
    if evidence.late > evidence.timed * share:
        return failed(f"{late} of the response time, {share:.0%} may be", evidence.limited, **figures)
    return passed(
        f"{late} of the response time ({share:.0%} may be); it used at most {evidence.cpu_share:.0%} of a "
        "core",
        **figures,
    )
