"""D1: no class of statements grows with the number of stacks faster than the operation promises.

An operation is requested some times between two readings of the server's counters. Each request makes a
whole number of statements of a class; what others did meanwhile is added to them. How much that can be is
bounded by what was counted in an idle window.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, log, log1p

from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive, passed
from calorimeter.gates.database.operation_statements import (
    PROMISES,
    OperationStatements,
    OperationWindow,
    StackCount,
)
from calorimeter.gates.evidence.digest_window import DigestWindow

UNLIKELY = 1e-4
"""Probability with which random background exceeds its bound, for each class of each window."""

SHOWN_TEXT = 160
"""Characters of a class that a verdict shows."""


@dataclass(frozen=True, slots=True)
class ClassGrowth:
    """The statements of one class per request of an operation, as ranges of whole numbers.

    `few` and `many` are (least, most) with few and with many stacks; least > most if no whole number of
    statements per request explains the count. `counts` are the counts themselves. They may grow by the
    factor `allowed[0] / allowed[1]`.
    """

    operation: str
    text: str
    few: tuple[int, int]
    many: tuple[int, int]
    counts: tuple[int, int]
    allowed: tuple[int, int]

    @property
    def unexplained(self) -> bool:
        """Whether a count cannot be that of the requests with background as in the idle window."""
        return self.few[0] > self.few[1] or self.many[0] > self.many[1]

    @property
    def grew(self) -> bool:
        """Whether even the least growth that explains the counts is more than is allowed."""
        return not self.unexplained and self.many[0] * self.allowed[1] > self.few[1] * self.allowed[0]

    @property
    def kept(self) -> bool:
        """Whether even the most growth that explains the counts is allowed."""
        return not self.unexplained and self.many[1] * self.allowed[1] <= self.few[0] * self.allowed[0]


def no_class_grows_too_fast(evidence: OperationStatements) -> Judgement:
    """D1: per operation and class, the statements per request with few stacks and with many.

    `PROMISES` says how they may differ. A class of which background could account for a whole statement
    per request in one of the windows is judged only if that makes no difference.
    """
    figures: dict[str, Figure] = {"stacks_few": evidence.few.stacks, "stacks_many": evidence.many.stacks}
    if gap := next(_gaps(evidence), None):
        return inconclusive(gap, **figures)
    classes = [each for name in PROMISES for each in growth(evidence, name)]
    figures |= _figures(evidence, classes)
    if found := [each for each in classes if each.grew]:
        return failed(_sentence(evidence, found), [_shown(each) for each in found], **figures)
    if problem := next(_unclear(evidence, classes), None):
        return inconclusive(problem, **figures)
    each = ", ".join(
        f"{name} {_total(classes, name, 'few')} and {_total(classes, name, 'many')}" for name in PROMISES
    )
    return passed(
        f"with {evidence.few.stacks} and {evidence.many.stacks} stacks, requests made these statements on "
        f"{evidence.database}: {each}; no class of {len(classes)} grew faster than its operation promises",
        **figures,
    )


def growth(evidence: OperationStatements, operation: str) -> list[ClassGrowth]:
    """The classes of an operation, those left out of which background alone explains all."""
    few, many = (_window(stacks, operation) for stacks in (evidence.few, evidence.many))
    linear = PROMISES[operation][0] == "per stack listed"
    allowed = (many.listed[0], few.listed[0]) if linear else (1, 1)
    texts = {each.digest: each.text for w in (few, many) for each in w.counted.digests}
    counts = [_counts(window.counted) for window in (few, many)]
    found = [
        ClassGrowth(
            operation=operation,
            text=text,
            few=_range(digest, few, evidence.few.idle),
            many=_range(digest, many, evidence.many.idle),
            counts=(counts[0].get(digest, 0), counts[1].get(digest, 0)),
            allowed=allowed,
        )
        for digest, text in texts.items()
    ]
    return sorted((c for c in found if (c.few, c.many) != ((0, 0), (0, 0))), key=lambda c: c.text)


def background_bound(idle: int, idle_s: float, window_s: float, most: int) -> int:
    """The most events in a window, if an idle one had `idle` events of the same rate; at most `most`.

    If both are Poisson of one rate, the events of the window are binomial among all, with the window's
    share of the time (Przyborowski and Wilenski 1940). The bound is the largest count for
    which a tail from there on is not rarer than `UNLIKELY`.
    """
    share = window_s / (window_s + idle_s)
    count = 0
    while count < most and _tail(count + 1 + idle, count + 1, share) >= UNLIKELY:
        count += 1
    return count


def per_request(count: int, requests: int, background: int) -> tuple[int, int]:
    """The least and the most whole number of statements per request that explain a count.

    Least > most if none does: the remainder is more than `background`.
    """
    return max(0, -(-(count - background) // requests)), count // requests


def _tail(trials: int, least: int, share: float) -> float:
    """P(B(trials, share) ≥ least), for 0 < share < 1 and least ≤ trials."""
    term, below = trials * log1p(-share), 0.0
    for k in range(least):
        below += exp(term)
        term += log(trials - k) - log(k + 1) + log(share) - log1p(-share)
    return max(0.0, 1.0 - below)


def _range(digest: str, window: OperationWindow, idle: DigestWindow) -> tuple[int, int]:
    background = background_bound(
        _counts(idle).get(digest, 0), idle.took_s, window.counted.took_s, window.requests
    )
    return per_request(_counts(window.counted).get(digest, 0), window.requests, background)


def _counts(window: DigestWindow) -> dict[str, int]:
    return {each.digest: each.count for each in window.digests}


def _window(stacks: StackCount, operation: str) -> OperationWindow:
    return next(each for each in stacks.operations if each.operation == operation)


def _gaps(evidence: OperationStatements) -> Iterator[str]:
    """Why nothing can be judged."""
    for stacks in (evidence.few, evidence.many):
        if stacks.complete < stacks.stacks:
            first = f" (the first of the others: {stacks.first_incomplete})" * bool(stacks.first_incomplete)
            yield f"{stacks.complete} of {stacks.stacks} stacks became complete{first}"
        if missing := [name for name in PROMISES if name not in {o.operation for o in stacks.operations}]:
            yield f"{missing[0]} was not requested with {stacks.stacks} stacks"
        for one in stacks.operations:
            yield from _gaps_of(one, evidence.database)
        if stacks.idle.incomplete:
            yield f"{evidence.database}: {stacks.idle.incomplete}"
        if stacks.idle.took_s <= 0:
            yield "the clock went back during the idle window"


def _gaps_of(one: OperationWindow, database: str) -> Iterator[str]:
    if one.counted.incomplete:
        yield f"{database}: {one.counted.incomplete}"
    if one.failed or not one.requests:
        first = f"(first: {one.first_failed})"
        yield f"{one.failed} of {one.requests} requests of {one.operation} failed {first}"
    if one.counted.took_s <= 0:
        yield f"the clock went back during the requests of {one.operation}"
    lists = PROMISES.get(one.operation, ("",))[0] == "per stack listed"
    if lists and not 0 < one.listed[0] == one.listed[1]:
        yield f"{one.operation} listed {one.listed[0]} stacks at first and {one.listed[1]} at the end"


def _unclear(evidence: OperationStatements, classes: list[ClassGrowth]) -> Iterator[str]:
    """Why growth cannot be excluded."""
    for name in PROMISES:
        if not any(each.operation == name and each.few[1] and each.many[1] for each in classes):
            yield (
                f"no statement of {name} was counted on {evidence.database}: does Heat use another "
                "database, or another server?"
            )
    for each in classes:
        if each.unexplained or not each.kept:
            yield (
                f"others used the database meanwhile, or {each.operation} is not the same each time: "
                f"{each.counts[0]} and {each.counts[1]} statements were counted in the two windows, from "
                f"which the statements per request cannot be told: {_text(each)}"
            )


def _figures(evidence: OperationStatements, classes: list[ClassGrowth]) -> dict[str, Figure]:
    found: dict[str, Figure] = {}
    for name in PROMISES:
        key = name.replace(" ", "_")
        for size, stacks in (("few", evidence.few), ("many", evidence.many)):
            window = _window(stacks, name)
            examined = sum(each.rows_examined for each in window.counted.digests)
            found[f"statements_per_{key}_{size}"] = _total(classes, name, size)
            found[f"rows_examined_per_{key}_{size}"] = round(examined / window.requests, 1)
    for size, stacks in (("few", evidence.few), ("many", evidence.many)):
        server = [each.counted.server for each in stacks.operations]
        found[f"row_lock_waits_{size}"] = sum(each.row_lock_waits for each in server)
        found[f"row_lock_ms_{size}"] = sum(each.row_lock_ms for each in server)
        found[f"deadlocks_{size}"] = sum(each.deadlocks or 0 for each in server)
    found["threads_connected"] = evidence.many.idle.server.threads_connected
    found["max_connections"] = evidence.many.idle.server.max_connections
    return found


def _total(classes: list[ClassGrowth], operation: str, size: str) -> int:
    """The statements of a request, of all classes; of a range its least."""
    return sum(getattr(each, size)[0] for each in classes if each.operation == operation)


def _sentence(evidence: OperationStatements, found: list[ClassGrowth]) -> str:
    worst = max(found, key=lambda each: each.many[0] / max(1, each.few[1]))
    promise, reason = PROMISES[worst.operation]
    may = "at most in proportion to the stacks listed" if promise == "per stack listed" else "not at all"
    return (
        f"{worst.operation} makes {worst.few[1]} statements of one class per request with "
        f"{evidence.few.stacks} stacks and {worst.many[0]} with {evidence.many.stacks}; they may grow "
        f"{may}, for {reason}: {_text(worst)}"
    )


def _shown(each: ClassGrowth) -> str:
    return f"{each.operation}: {each.few[1]} and {each.many[0]} per request: {_text(each)}"


def _text(each: ClassGrowth) -> str:
    return each.text[:SHOWN_TEXT] + "…" * (len(each.text) > SHOWN_TEXT)
