"""What each answer means: one table, for the client, the ledger and the reader (docs/reference/answers.md).

Definite is what can be told from the answer alone: the request was carried out, or it was refused and
nothing happened. Unknown is what cannot: the request may have been carried out, so a stack of that name is
looked for, its tenant's quota stays taken, and an action's outcome is never assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from calorimeter.load.http.client import Answer

Outcome = Literal["accepted", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """A row: what came (an error of `calorimeter.core.samples.ERRORS`, or statuses), and what it says."""

    came: str
    outcome: Outcome
    why: str
    statuses: range | None = None

    @property
    def unknown(self) -> bool:
        """Whether the request may have been carried out although nothing says so."""
        return self.outcome == "unknown"


MEANINGS = (
    Meaning(
        "connect",
        "refused",
        "No connection: nothing was sent.",
    ),
    Meaning(
        "dropped",
        "refused",
        "Never sent: too much was in flight.",
    ),
    Meaning(
        "closed",
        "unknown",
        "The connection ended before the answer did: a crash, a cut session, a proxy's time-out.",
    ),
    Meaning(
        "timeout",
        "unknown",
        "No whole answer in time. Heat goes on with what it has accepted.",
    ),
    Meaning(
        "protocol",
        "unknown",
        "What came is not HTTP, or larger than allowed.",
    ),
    Meaning(
        "body",
        "unknown",
        "The status says yes, and the body does not say to what.",
    ),
    Meaning(
        "2xx",
        "accepted",
        "Done, or accepted: 201 and 202 say that work has begun, not that it ended.",
        range(200, 300),
    ),
    Meaning(
        "300",
        "accepted",
        "The list of versions: Heat answers `/` with 300 Multiple Choices.",
        range(300, 301),
    ),
    Meaning(
        "3xx",
        "accepted",
        "A stack was found by its name; the address is in `Location`. Nothing has changed.",
        range(301, 400),
    ),
    Meaning(
        "400",
        "refused",
        "REST: invalid, or a quota is used up (`max_stacks_per_tenant`, snapshots, resources). CFN:"
        " also a stack that does not exist.",
        range(400, 401),
    ),
    Meaning(
        "401",
        "refused",
        "The token is not valid (any more).",
        range(401, 402),
    ),
    Meaning(
        "403",
        "refused",
        "Not allowed: policy, a foreign project, an invalid signature.",
        range(403, 404),
    ),
    Meaning(
        "404",
        "refused",
        "There is no such thing. After a delete this is how a stack is seen to be gone.",
        range(404, 405),
    ),
    Meaning(
        "409",
        "refused",
        "A conflict: the name is taken, or another action is in progress. Nothing was done.",
        range(409, 410),
    ),
    Meaning(
        "4xx",
        "refused",
        "Any other refusal.",
        range(400, 500),
    ),
    Meaning(
        "503",
        "unknown",
        "HAProxy has no server, or an API says that engines do not answer: it may have been sent on.",
        range(503, 504),
    ),
    Meaning(
        "504",
        "unknown",
        "The proxy waited no longer (`timeout server`), or Heat gave up on an engine. The work goes on.",
        range(504, 505),
    ),
    Meaning(
        "5xx",
        "unknown",
        "Any other failure of a server, also in the middle of the work.",
        range(500, 600),
    ),
)
"""In the order in which they are looked for: the first row that fits counts."""

_BY_ERROR = {row.came: row for row in MEANINGS if row.statuses is None}
_BY_STATUS = {
    status: next(row for row in MEANINGS if row.statuses is not None and status in row.statuses)
    for status in range(200, 600)
}
_STRANGE = Meaning("other", "unknown", "A status that HTTP does not have.")


def meaning(answer: Answer) -> Meaning:
    """What an answer means; an unexpected status is judged by the status."""
    if answer.error and answer.error != "status":
        return _BY_ERROR[answer.error]
    return _BY_STATUS.get(answer.status, _STRANGE)


def table() -> str:
    """The rows as a table in Markdown, as it stands in docs/reference/answers.md."""
    rows = [f"| {row.came} | {row.outcome} | {row.why} |" for row in MEANINGS]
    return "\n".join(["| what came | outcome | meaning |", "|---|---|---|", *rows])
