"""Evidence that is not available, and why."""

from __future__ import annotations

from calorimeter.core.shown_text import one_line


class EvidenceUnavailable(Exception):  # noqa: N818 - a fact about the deployment, not a defect here
    """A source of evidence does not answer as expected.

    Gates turn it into INCONCLUSIVE, commands into one line. `where` is the address of the source
    (never with a password), `why` a clause without a full stop.
    """

    def __init__(self, where: str, why: str) -> None:
        self.where = where
        self.why = why
        # A reason may quote an answer, which must not command the terminal.
        super().__init__(one_line(f"{where}: {' '.join(why.split())}"))


class NotVisible(EvidenceUnavailable):
    """The source answers, but a source of this kind cannot show this (sessions on a stats page)."""
