"""The experiment of S5: the sources visit again while Locust loads the APIs."""

from __future__ import annotations

import time
from collections.abc import Sequence

from calorimeter.gates.affinity.locust_load import USERS, LocustLoad, locust_load
from calorimeter.gates.affinity.persistence import LoadBetweenVisits, Persistence
from calorimeter.gates.clients.attribution import Attribution
from calorimeter.gates.clients.visit_rounds import (
    all_visits,
    counted_since,
    finished,
    seen_again,
    strongest,
)
from calorimeter.gates.clients.visiting import GIVE_UP
from calorimeter.gates.clients.visits import Visit, Visits
from calorimeter.gates.context import Context, shared
from calorimeter.gates.evidence import proxy_polling
from calorimeter.gates.evidence.stats_sources import proxy_stats_if_visible
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

PART = 5
"""Every fifth of the sources that visited without load visits again under it."""

LEAST = 50
ROUNDS = 3
PAUSE_S = 2.0
"""Between two rounds, so that the visits of a source lie apart in time."""


@shared
def persistence_under_load(context: Context) -> Persistence:
    """Visits without load (those of S1) and under it. Raises EvidenceUnavailable if the load fails."""
    _ = context.identity
    quiet = all_visits(context).apis
    stats = proxy_stats_if_visible(context.deployment)
    with strongest(context, context.api("rest"), stats) as attribution:
        if not attribution.works_under_load:
            raise EvidenceUnavailable(
                str(context.deployment.path),
                f"{'; '.join(attribution.passed_over)}; {attribution.kind} show nothing under load",
            )
        context.say("Locust loads the APIs")
        before = {one.api: proxy_polling.chosen(stats, one.section) for one in quiet}
        with locust_load(context.deployment) as load:
            load.await_begin()
            context.say("the sources visit again under that load")
            made = visits_under_load(context, attribution, quiet, load)
            status = load.await_end()
            # The connections of the load have ended now, too: the counts of the log are complete.
            loaded = tuple(
                finished(one, attribution, attribution.attributed(context.api(one.api), visits)).model_copy(
                    update={
                        "asked_again": again,
                        "counted": counted_since(stats, context.api(one.api), before[one.api]),
                    }
                )
                for one, (visits, again) in zip(quiet, made, strict=True)
            )
            sent = load.sent_ns()
    moments = [visit.sent_ns for one in loaded for visit in one.visits]
    first, last = min(moments), max(moments)
    return Persistence(
        quiet=quiet,
        loaded=loaded,
        load=LoadBetweenVisits(
            users=USERS,
            status=status,
            requests=len(sent),
            requests_meanwhile=sum(first <= at <= last for at in sent),
            seconds=(last - first) / 1e9,
        ),
    )


def visits_under_load(
    context: Context, attribution: Attribution, quiet: Sequence[Visits], load: LocustLoad
) -> list[tuple[Sequence[Visit], int]]:
    """For each API its visits in some rounds, as long as the load runs, and how many were made again.

    Visits of which the evidence shows nothing are made again (see `seen_again`).
    """
    attribution.start([context.api(one.api) for one in quiet])
    made: dict[str, list[Visit]] = {one.api: [] for one in quiet}
    for number in range(ROUNDS):
        if number:
            time.sleep(PAUSE_S)
        for one in quiet:
            made[one.api] += attribution.visit(context.api(one.api), _some(one), give_up=GIVE_UP)
        if not load.running:
            break
    return [_again(context, attribution, one.api, made[one.api], load) for one in quiet]


def _again(
    context: Context, attribution: Attribution, api: str, made: Sequence[Visit], load: LocustLoad
) -> tuple[Sequence[Visit], int]:
    if not load.running:
        return made, 0
    found, again = seen_again(context, context.api(api), attribution, made)
    return found.visits, again


def _some(quiet: Visits) -> list[str]:
    """The sources that visit again: a fifth, but not too few."""
    sources = list(dict.fromkeys(visit.source for visit in quiet.visits if visit.source))
    return sources[: max(len(sources) // PART, LEAST)]
