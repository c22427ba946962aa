"""One judgement on both APIs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from calorimeter.core.verdict import Judgement, Outcome, inconclusive

E = TypeVar("E")

_WORST_FIRST = (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS, Outcome.NOT_RUN)


def worst_of_apis(judgements: Iterable[tuple[str, Judgement]]) -> Judgement:
    """The worst outcome of the APIs, the sentences of those with that outcome, and all figures, by API.

    It is NOT RUN only if that is so for all of them; the reason of one that is NOT RUN is said in any case.
    """
    judged = dict(judgements)
    if not judged:
        return inconclusive("there is no API to judge")
    outcome = min((j.outcome for j in judged.values()), key=_WORST_FIRST.index)
    worst = {api: j for api, j in judged.items() if j.outcome in (outcome, Outcome.NOT_RUN)}
    return Judgement(
        outcome=outcome,
        why="; ".join(f"{api.upper()}: {j.why}" for api, j in worst.items()),
        figures={f"{api}_{name}": value for api, j in judged.items() for name, value in j.figures.items()},
        counter_examples=tuple(
            f"{api.upper()} {example}" for api, j in worst.items() for example in j.counter_examples
        ),
    )


def check_each_api(
    evidence: Iterable[E], name: Callable[[E], str], check: Callable[[E], Judgement]
) -> Judgement:
    """Check the evidence of each API (`name` gives it), and combine the judgements."""
    return worst_of_apis((name(one), check(one)) for one in evidence)
