"""Service levels: what a scenario promises, and whether the load that shows it was the load asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil

from calorimeter.statistics import needed
from calorimeter.toml import Model
from calorimeter.verdict import Figure, Judgement, failed, inconclusive, passed
from scenarios.scenario import Objective

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
    for percent, bound in zip(PERCENTS, _bounds(objective), strict=True):
        if bound is not None:
            yield _percentile(found, percent, bound)
    if objective.max_error_ratio is not None:
        yield _errors(found, objective.max_error_ratio)
    if objective.min_per_s is not None:
        rate = found.ok / evidence.window_s if evidence.window_s > 0 else 0.0
        said = f"{name}: {rate:.2f} successes/s, at least {objective.min_per_s:g} promised"
        enough = evidence.window_s >= 1 and (found.ok >= needed(50) or rate < objective.min_per_s)
        yield (rate < objective.min_per_s if enough else None), said


def _bounds(objective: Objective) -> tuple[float | None, ...]:
    return objective.p50_ms, objective.p95_ms, objective.p99_ms


def _percentile(found: Served, percent: float, bound_ms: float) -> tuple[bool | None, str]:
    name, least = f"p{percent:g}", needed(percent)
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
    # Below 1/bound requests not one failure fits under the bound: then a clean record says little.
    least = ceil(1 / bound) if bound else needed(50)
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
            enough = each.ok >= needed(percent)
            figures[f"{name}_p{percent:g}_ms"] = each.response_ms[f"p{percent:g}"] if enough else None
    return figures


class Worker(Model):
    """One process that generated load: the largest share of a core it used over the looks at it."""

    name: str
    cpu_share: float


class Generator(Model):
    """Evidence of T3: how late requests were sent in the measured part, and how busy the senders were.

    `lag_ms` are percentiles of (sent − due) by name, `sent` how many were sent, `dropped` how many were due
    and never sent. `response_ms` and `bound_ms` are the least of the latencies that were measured and
    promised: what the lag is judged against. `workers` is None where nobody looked.
    """

    sent: int
    dropped: int
    lag_ms: dict[str, float]
    response_ms: float | None
    bound_ms: float | None
    workers: tuple[Worker, ...] | None
    looks: int = 0


MOST_SHARE = 0.9
"""Of one core: a process in Python cannot use more than one, and queues form before it is full.

Locust warns at the same share."""

MOST_LAG = 0.1
"""Lag (99th percentile) as a share of the latency it is part of: a larger one is seen in two digits."""


def not_the_bottleneck(evidence: Generator) -> Judgement:
    """Whether the load was generated as asked: nothing dropped, sent on time, by processes with time left.

    The lag is part of every response time; it may be at most a tenth of the smallest latency that is
    promised, or, where none is, of the median that was measured.
    """
    least = needed(99)
    figures: dict[str, Figure] = {
        "sent": evidence.sent,
        "dropped": evidence.dropped,
        "lag_p50_ms": evidence.lag_ms.get("p50"),
        "lag_p99_ms": evidence.lag_ms.get("p99") if evidence.sent >= least else None,
    }
    shares = {worker.name: worker.cpu_share for worker in evidence.workers or ()}
    figures |= {f"{name}_cpu_share": round(share, 3) for name, share in shares.items()}
    wrong = [
        f"{name} used {share:.0%} of its core, at most {MOST_SHARE:.0%} leaves room"
        for name, share in shares.items()
        if share > MOST_SHARE
    ]
    if evidence.dropped:
        due = evidence.sent + evidence.dropped
        wrong.append(f"{evidence.dropped} of {due} requests were due and never sent")
    of = evidence.bound_ms if evidence.bound_ms is not None else evidence.response_ms
    allowed = None if of is None else MOST_LAG * of
    figures["lag_allowed_ms"] = None if allowed is None else round(allowed, 3)
    late = evidence.lag_ms.get("p99", 0.0)
    if allowed is not None and evidence.sent >= least and late > allowed:
        wrong.append(f"1 % of requests were sent {late:.1f} ms late or more, {allowed:.1f} ms are allowed")
    if wrong:
        return failed(f"the generator limits what was measured: {wrong[0]}", wrong, **figures)
    if evidence.sent < least:
        return inconclusive(f"{evidence.sent} requests were sent, {least} are needed", **figures)
    if allowed is None:
        return inconclusive("nothing succeeded that the lag could be judged against", **figures)
    if not evidence.workers:
        return inconclusive("nobody recorded how busy the processes that generate were", **figures)
    return passed(
        f"nothing dropped, 99 % sent within {late:.1f} ms, busiest process at {max(shares.values()):.0%} "
        "of a core",
        **figures,
    )
