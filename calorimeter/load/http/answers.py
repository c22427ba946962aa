"""The meaning of each answer: one table for users, the ledger and readers (docs/reference/answers.md).

An outcome is definite if the answer alone shows that the request was carried out, or that it was refused
and nothing happened. Otherwise it is unknown: the request may have been carried out. The end of the run
then searches for a stack of that name, the place in its tenant's quota stays taken, and no outcome of an
action is assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from calorimeter.load.http.client import Answer

Outcome = Literal["accepted", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """One row. `answer` is an error of `core.recorded.samples.ERRORS`, or names the `statuses`."""

    answer: str
    outcome: Outcome
    why: str
    statuses: range | None = None

    @property
    def unknown(self) -> bool:
        """Whether the request may have been carried out without a confirmation."""
        return self.outcome == "unknown"


def _statuses(answer: str, outcome: Outcome, first: int, end: int, why: str) -> Meaning:
    return Meaning(answer, outcome, why, range(first, end))


MEANINGS = (
    Meaning("connect", "refused", "No connection was made, so nothing was sent."),
    Meaning("dropped", "refused", "Never sent: too many requests were in flight."),
    Meaning(
        "closed",
        "unknown",
        "The connection ended before the answer was complete: a crash, a cut session, a proxy's timeout.",
    ),
    Meaning("timeout", "unknown", "No complete answer in time. Heat continues with what it has accepted."),
    Meaning(
        "protocol",
        "unknown",
        "The answer is not HTTP, or is larger than allowed: 64 KiB of head, 16 MiB in all.",
    ),
    Meaning(
        "body",
        "unknown",
        "The status reports success, but the body lacks what it must contain, or has an id or URL that is"
        " none.",
    ),
    _statuses(
        *("2xx", "accepted", 200, 300),
        "Done, or accepted: 201 and 202 mean that work has begun, not that it has ended.",
    ),
    _statuses(
        "300", "accepted", 300, 301, "The list of versions: Heat answers `/` with 300 Multiple Choices."
    ),
    _statuses(
        *("3xx", "accepted", 301, 400),
        "A stack was found by its name; its address is in `Location`. Nothing was changed.",
    ),
    _statuses(
        *("400", "refused", 400, 401),
        "REST: the request is invalid, or a quota is used up (`max_stacks_per_tenant`, snapshots,"
        " resources). CFN: also a stack that does not exist.",
    ),
    _statuses("401", "refused", 401, 402, "The token is invalid or has expired."),
    _statuses("403", "refused", 403, 404, "Not allowed: policy, another project, or an invalid signature."),
    _statuses("404", "refused", 404, 405, "Not found. After a delete, this shows that the stack is gone."),
    _statuses(
        *("409", "refused", 409, 410),
        "A conflict: the name is taken, or another action is in progress. Nothing was done.",
    ),
    _statuses("4xx", "refused", 400, 500, "Any other refusal."),
    _statuses(
        *("503", "unknown", 503, 504),
        "HAProxy has no server, or an API reports that engines do not answer: the request may have been"
        " forwarded.",
    ),
    _statuses(
        *("504", "unknown", 504, 505),
        "The proxy stopped waiting (`timeout server`), or Heat stopped waiting for an engine. The work"
        " continues.",
    ),
    _statuses(
        "5xx", "unknown", 500, 600, "Any other failure of a server, possibly in the middle of the work."
    ),
)
"""The first row that matches counts."""

_BY_ERROR = {row.answer: row for row in MEANINGS if row.statuses is None}
_BY_STATUS = {
    status: next(row for row in MEANINGS if row.statuses is not None and status in row.statuses)
    for status in range(200, 600)
}
_NO_HTTP_STATUS = Meaning("other", "unknown", "A status that HTTP does not define.")


def meaning(answer: Answer) -> Meaning:
    """The row of an answer."""
    return meaning_of(answer.status, answer.error)


def meaning_of(status: int, error: str) -> Meaning:
    """The row of a status and an error. An answer with an unexpected status is judged by that status."""
    if error and error != "status":
        return _BY_ERROR[error]
    return _BY_STATUS.get(status, _NO_HTTP_STATUS)
