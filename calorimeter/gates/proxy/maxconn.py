"""P4: connections beyond a maxconn wait, and none is dropped before `timeout queue`."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive, not_run
from calorimeter.gates.clients.visits import Visit, no_violation


class ProxySaturation(Model):
    """The proxy filled to its own maxconn with held connections, and some visits on top.

    `limit` is the smallest of the process's maxconn and those of the frontends, `limited_by` whose it is.
    `held` connections were idle. `most` is the greatest number of connections that the proxy showed, and
    `queued` the greatest number in HAProxy's own queues. `answered_early` visits were answered while the
    proxy was full. `impossible` says why this was not done.
    """

    limit: int
    limited_by: str
    held: int = 0
    most: int = 0
    answered_early: int = 0
    queued: int = 0
    visits: tuple[Visit, ...] = ()
    impossible: str | None = None


class ServerSaturation(Model):
    """One API with more visits at once than its servers' own maxconn allow.

    `limits` is server → maxconn, `unlimited` are the servers without one, `wanted_limit` is the described
    one. `most` is server → the greatest number of sessions that it showed; `queued` is the greatest number
    in HAProxy's queues at one moment.
    """

    api: str
    limits: dict[str, int]
    unlimited: tuple[str, ...] = ()
    wanted_limit: int | None
    at_once: int = 0
    most: dict[str, int] = {}
    queued: int = 0
    visits: tuple[Visit, ...] = ()


class MaxconnSaturation(Model):
    """Evidence of P4. `timeout_queue_s` is the described one (if unset, HAProxy uses `timeout connect`).

    `shared_by` names the proxies if more than one serves the front: then none of them was filled.
    """

    whole: ProxySaturation
    servers: tuple[ServerSaturation, ...]
    timeout_queue_s: float | None
    shared_by: tuple[str, ...] = ()


def nothing_is_dropped(evidence: MaxconnSaturation) -> Judgement:
    """Whether all visits beyond a maxconn were held back and served, or waited for `timeout queue`."""
    if evidence.shared_by:
        return not_run(
            f"{', '.join(evidence.shared_by)} share the connections of one front: none of them can be "
            "filled alone through it"
        )
    figures = _figures(evidence)
    against = [*_against_whole(evidence.whole), *_against_servers(evidence)]
    if against:
        return failed("connections beyond a maxconn are not handled as described", against, **figures)
    doubts = [*_doubts_of_whole(evidence.whole), *_doubts_of_servers(evidence)]
    if doubts:
        return inconclusive("; ".join(doubts), **figures)
    limited = [each for each in evidence.servers if each.limits]
    queue = (
        f"; beyond the servers' own maxconn up to {max(each.queued for each in limited)} waited in "
        "HAProxy's queue, and all were served or left it only at `timeout queue`"
        if limited
        else "; no server has a maxconn of its own, so HAProxy's queue is never used"
    )
    whole = evidence.whole
    why = (
        f"with {whole.most} connections ({whole.limited_by} maxconn {whole.limit}) {len(whole.visits)} "
        f"more waited in the kernel's backlog, and all were served once there was room{queue}"
    )
    return no_violation(why, _waited(evidence), "dropped visits", figures)


def _waited(evidence: MaxconnSaturation) -> int:
    """How many visits were beyond a maxconn, or made together with those that were."""
    return len(evidence.whole.visits) + sum(len(each.visits) for each in evidence.servers)


def _figures(evidence: MaxconnSaturation) -> dict[str, Figure]:
    whole = evidence.whole
    figures: dict[str, Figure] = {
        "maxconn": whole.limit,
        "limited_by": whole.limited_by,
        "held": whole.held,
        "most_connections": whole.most,
        "visits_beyond": len(whole.visits),
        "requests": _waited(evidence),
        "answered_while_full": whole.answered_early,
        "longest_wait_s": round(max((visit.took_s for visit in whole.visits), default=0.0), 2),
        "timeout_queue_s": evidence.timeout_queue_s,
    }
    for each in evidence.servers:
        figures[f"{each.api}_server_maxconn"] = min(each.limits.values(), default=None)
        figures[f"{each.api}_at_once"] = each.at_once
        figures[f"{each.api}_most_queued"] = each.queued
        figures[f"{each.api}_dropped"] = sum(_dropped(visit) for visit in each.visits)
    return figures


def _dropped(visit: Visit) -> bool:
    """HAProxy closes a dropped connection in `mode tcp`, and answers 503 in `mode http`."""
    return visit.status in (0, 503)


def _against_whole(whole: ProxySaturation) -> Iterator[str]:
    if whole.most > whole.limit:
        yield f"the proxy had {whole.most} connections, but its maxconn is {whole.limit}"
    for visit in whole.visits:
        if not visit.status:
            yield (
                f"{visit.source}: dropped after {visit.took_s:.2f} s beyond maxconn {whole.limit} "
                f"({visit.error})"
            )


def _doubts_of_whole(whole: ProxySaturation) -> Iterator[str]:
    if whole.impossible:
        yield whole.impossible
    elif whole.most < whole.limit:
        yield f"the proxy was not full: it showed {whole.most} of {whole.limit} connections"
    elif whole.answered_early:
        yield f"{whole.answered_early} visits were answered while the proxy was full: others had ended"
    elif not whole.visits:
        yield "no visit was made while the proxy was full"


def _against_servers(evidence: MaxconnSaturation) -> Iterator[str]:
    for each in evidence.servers:
        wanted = each.wanted_limit
        if wanted is not None:
            yield from (f"{s}: no maxconn in the proxy, {wanted} is described" for s in each.unlimited)
        for server, limit in each.limits.items():
            if wanted is not None and limit != wanted:
                yield f"{server}: maxconn {limit} in the proxy, {wanted} is described"
            if each.most.get(server, 0) > limit:
                yield f"{server} had {each.most[server]} sessions, but its maxconn is {limit}"
        if evidence.timeout_queue_s is None:
            continue
        for visit in each.visits:
            if _dropped(visit) and visit.took_s < evidence.timeout_queue_s:
                yield (
                    f"{each.api.upper()} {visit.source}: dropped after {visit.took_s:.2f} s, "
                    f"`timeout queue` is described as {evidence.timeout_queue_s:g} s"
                )


def _doubts_of_servers(evidence: MaxconnSaturation) -> Iterator[str]:
    for each in evidence.servers:
        if not each.limits:
            continue
        if evidence.timeout_queue_s is None and any(_dropped(visit) for visit in each.visits):
            yield f"{each.api.upper()}: visits were dropped, and [expect] has no timeout_queue_s"
        if not each.queued:
            yield (
                f"{each.api.upper()}: {each.at_once} visits at once did not fill the servers' maxconn "
                f"({', '.join(f'{s} {n}' for s, n in each.limits.items())})"
            )
