"""How many of an experiment's requests could be followed from the client to the engine."""

from __future__ import annotations

from collections import Counter
from http import HTTPStatus

from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure
from calorimeter.gates.request_path.path import NO_LOG_LINE, RequestPath, RequestPaths

OF_THE_PROXY = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)

ENOUGH = 0.999
"""Share of answered requests below which it is uncertain which engine had which request."""


class JoinCompleteness(Model):
    """`whole` of `answered` requests were followed; `missing` counts the links that were not seen.

    `proxy` is whether the proxy's log names servers; if it does not, that link is not required. `by_proxy`
    counts the requests that the proxy answered itself, which no API had; they are not among `answered`.
    """

    answered: int
    whole: int
    missing: dict[str, int] = {}
    proxy: bool = True
    by_proxy: int = 0

    @property
    def share(self) -> float | None:
        """The completeness of the join; None without an answered request."""
        return self.whole / self.answered if self.answered else None


def join_completeness(paths: RequestPaths, *, proxy: bool = True) -> JoinCompleteness:
    """Count the paths of the requests that an API answered: without an answer no request id is known."""
    by_proxy = sum(map(_by_proxy, paths.paths))
    answered = [
        tuple(link for link in path.missing if proxy or link != NO_LOG_LINE)
        for path in paths.paths
        if path.request.status and not _by_proxy(path)
    ]
    return JoinCompleteness(
        answered=len(answered),
        whole=sum(not missing for missing in answered),
        missing=dict(sorted(Counter(link for missing in answered for link in missing).items())),
        proxy=proxy,
        by_proxy=by_proxy,
    )


def _by_proxy(path: RequestPath) -> bool:
    """Whether the proxy answered, in `mode http`: no server took the request, or one did not answer.

    Every answer of heat-api has a request id, and so has a call of heat-api-cfn that reached the broker.
    """
    return path.request.status in OF_THE_PROXY and not path.request.request_id and not path.legs


def why_incomplete(evidence: JoinCompleteness | None) -> str | None:
    """Why the join is not complete enough; None if it is, or was not made."""
    if evidence is None or (evidence.share is not None and evidence.share >= ENOUGH):
        return None
    if evidence.share is None:
        return "no request was answered, so none could be followed"
    links = ", ".join(f"{link} in {count}" for link, count in evidence.missing.items())
    return (
        f"{evidence.whole} of {evidence.answered} answered requests ({evidence.share:.2%}) could be "
        f"followed to their engine, at least {ENOUGH:.1%} are needed ({links})"
    )


def completeness_figures(evidence: JoinCompleteness | None) -> dict[str, Figure]:
    """The completeness of the join, as figures."""
    if evidence is None or evidence.share is None:
        return {}
    return {"followed": evidence.whole, "followed_of": evidence.answered,
            "join_completeness": round(evidence.share, 5)}  # fmt: skip
