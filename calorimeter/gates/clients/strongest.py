"""The strongest attribution that works on a deployment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from calorimeter.core.deployment import Api
from calorimeter.gates.clients.attribution import Attribution, NobodyAnswers
from calorimeter.gates.clients.log_attribution import LogAttribution
from calorimeter.gates.clients.stats_attribution import CounterAttribution, SessionAttribution
from calorimeter.gates.context import Context
from calorimeter.gates.evidence.proxy_stats import StatsSource
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

KINDS: tuple[type[Attribution], ...] = (LogAttribution, SessionAttribution, CounterAttribution)
"""The strongest first; a further kind of evidence is one more class here."""


@contextmanager
def strongest(context: Context, api: Api, stats: Sequence[StatsSource]) -> Iterator[Attribution]:
    """Open the strongest evidence that a first visit shows to work, until the context ends.

    Raises NobodyAnswers if the API does not answer, and EvidenceUnavailable if no evidence works.
    """
    passed_over: list[str] = []
    for kind in KINDS:
        with ExitStack() as opened:
            try:
                attribution = opened.enter_context(kind.opened(context, stats))
                doubt = attribution.doubt(api)
            except NobodyAnswers:
                raise
            except EvidenceUnavailable as problem:
                doubt = f"{problem.where}: {problem.why}"
            if doubt is None:
                attribution.passed_over = tuple(passed_over)
                yield attribution
                return
        passed_over.append(doubt)
    raise EvidenceUnavailable(str(context.deployment.path), "; ".join(passed_over))
