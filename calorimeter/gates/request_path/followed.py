"""How many of an experiment's requests could be followed from the client to the engine."""

from __future__ import annotations

from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure
from calorimeter.gates.request_path.path import Paths

ENOUGH = 0.999
"""Share of answered requests below which nobody can say who had what."""

NO_LINE = "no line of the proxy's log"


class Followed(Model):
    """Of so many `answered` requests `whole` were followed; `missing` counts the links that were not seen.

    `proxy` is whether the proxy's log names servers at all: where it does not, that link is not asked for.
    """

    answered: int
    whole: int
    missing: dict[str, int] = {}
    proxy: bool = True

    @property
    def share(self) -> float | None:
        """The completeness of the join; None without a request."""
        return self.whole / self.answered if self.answered else None


def followed(paths: Paths, *, proxy: bool) -> Followed:
    """Count the paths, without the proxy's link where its log names no servers."""
    given = [
        tuple(link for link in path.missing if proxy or link != NO_LINE)
        for path in paths.paths
        if path.request.status
    ]
    links = sorted({link for missing in given for link in missing})
    return Followed(
        answered=len(given),
        whole=sum(not missing for missing in given),
        missing={link: sum(link in missing for missing in given) for link in links},
        proxy=proxy,
    )


def shortfall(evidence: Followed | None) -> str | None:
    """Why the join is not complete enough, in a sentence; None where it is, or was not made."""
    if evidence is None or (evidence.share is not None and evidence.share >= ENOUGH):
        return None
    if evidence.share is None:
        return "no request was answered, so none could be followed"
    links = ", ".join(f"{link} in {count}" for link, count in evidence.missing.items())
    return (
        f"{evidence.whole} of {evidence.answered} answered requests ({evidence.share:.2%}) could be "
        f"followed to their engine, {ENOUGH:.1%} are needed ({links})"
    )


def figures(evidence: Followed | None) -> dict[str, Figure]:
    """The completeness of the join, as figures."""
    if evidence is None or evidence.share is None:
        return {}
    return {"followed": evidence.whole, "followed_of": evidence.answered,
            "join_completeness": round(evidence.share, 5)}  # fmt: skip
