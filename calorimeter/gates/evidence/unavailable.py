"""Evidence that cannot be had, and why."""

from __future__ import annotations


class EvidenceUnavailable(Exception):  # noqa: N818 - a fact about the deployment, not a defect here
    """A source of evidence does not answer as it should.

    Gates turn it into INCONCLUSIVE, commands into one line. `where` is the address of the source
    (never with a password), `why` a half-sentence.
    """

    def __init__(self, where: str, why: str) -> None:
        self.where = where
        self.why = why
        super().__init__(f"{where}: {' '.join(why.split())}")


class NotVisible(EvidenceUnavailable):
    """The source answers, but cannot show this by its nature (sessions on a stats page)."""
