"""P1 and P2: the APIs answer at the front addresses, through the proxy."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive
from calorimeter.gates.clients.visits import no_violation

MULTIPLE_CHOICES = 300
"""Heat's status for `GET /`: its body is the version document."""


class ApiVersion(Model):
    """One version of a version document, with its link."""

    id: str
    status: str
    href: str


class FrontReply(Model):
    """The reply to one `GET /` over a fresh connection from `source`.

    `status` is 0 if no answer came, and `error` then says why. `unsent`: this machine could not even send
    the request (no port, no route, no file descriptor), which says nothing about the front address.
    """

    source: str = ""
    status: int
    error: str = ""
    unsent: bool = False
    answer: str = ""
    versions: tuple[ApiVersion, ...] = ()


class FrontReplies(Model):
    """Evidence of P1 and P2: `GET /` at a front address, from several sources, one after another.

    A request without an answer is the last one. `backends` are the described backends' own addresses.
    `counted` is how many sessions the proxy's section counted during the requests, None if its counters
    cannot be read; `section_known` is whether the proxy has that section at all.
    """

    api: str
    url: str
    front: str
    backends: dict[str, str]
    section: str
    replies: tuple[FrontReply, ...]
    counted: int | None = None
    section_known: bool | None = None

    @property
    def answered(self) -> tuple[FrontReply, ...]:
        """The replies with an answer, whatever it was."""
        return tuple(reply for reply in self.replies if reply.status)


def answers_at_the_front(evidence: FrontReplies) -> Judgement:
    """Whether the API answers with its versions at the address that clients know, through the proxy.

    The address and the links are facts; whether every request finds them depends on how many were sent.
    With n and none in violation, a rate above 1 − 0.05^(1/n) would be detected with 95 % probability.
    """
    # The first reply without versions explains most.
    strange = [reply for reply in evidence.replies if not reply.versions]
    shown = (*strange, *evidence.replies, FrontReply(status=0))[0]
    figures: dict[str, Figure] = {
        "url": evidence.url,
        "status": shown.status,
        "versions": ", ".join(f"{v.id} {v.status}" for v in shown.versions),
        "sources": len({reply.source for reply in evidence.replies}),
        "connections": len(evidence.answered),
        "requests": len(evidence.replies),
        "sessions_counted_by_the_proxy": evidence.counted,
    }
    name = evidence.api.upper()
    if (problem := next(_wrong(evidence, name), None)) is not None:
        why, *examples = problem
        return failed(why, examples, **figures)
    if (doubt := next(_doubts(evidence), None)) is not None:
        return inconclusive(doubt, **figures)
    why = (
        f"the {name} API answers at {evidence.front} with its versions ({figures['versions']}), to each of "
        f"{len(evidence.replies)} requests from {figures['sources']} sources"
    )
    return no_violation(
        why,
        len(evidence.replies),
        "failing requests",
        figures,
        after=""
        if evidence.counted
        else "; whether they went through the proxy cannot be determined without its stats",
    )


def _doubts(evidence: FrontReplies) -> Iterator[str]:
    """Why nothing is proven, if nothing is refuted."""
    answered = len(evidence.answered)
    if not evidence.replies:
        yield f"no request was sent to {evidence.front}"
    for number, reply in enumerate(evidence.replies, start=1):
        if reply.unsent:
            yield f"this machine could not send request {number} to {evidence.front}: {reply.error}"
    if evidence.counted is not None and evidence.counted < answered:
        yield (
            f"the proxy counted {evidence.counted} sessions, but {answered} requests were answered: "
            "something else answers there too, or the proxy was restarted during the requests"
        )


def _wrong(evidence: FrontReplies, name: str) -> Iterator[tuple[str, ...]]:
    """Why the API does not answer as it should, followed by counter-examples; the gravest first."""
    front, section = evidence.front, evidence.section
    unanswered = [reply for reply in evidence.replies if not reply.status and not reply.unsent]
    if unanswered:
        error = unanswered[0].error
        many = f"{len(unanswered)} of {len(evidence.replies)} requests were not answered"
        why = f"{many} for" if evidence.answered else "nothing answers for"
        yield f"{why} the {name} API at {front}: {error}", f"GET {evidence.url}: {error}"
        return
    for backend, address in evidence.backends.items():
        if address == front:
            why = f"the {name} front address {front} is a backend's own: its clients bypass the proxy"
            yield why, f"{backend}: {address}"
    strange = [r for r in evidence.answered if r.status != MULTIPLE_CHOICES or not r.versions]
    if strange:
        why = f"what answers at {front} is not Heat's {name} API: no version document"
        yield why, *dict.fromkeys(f"status {reply.status}: {reply.answer!r}" for reply in strange)
    past = [
        f"{version.id}: {version.href} (backend {backend})"
        for reply in evidence.replies
        for version in reply.versions
        for backend, address in evidence.backends.items()
        if f"//{address}/" in f"{version.href}/"
    ]
    if past:
        yield f"the {name} API's own links lead clients past the proxy", *dict.fromkeys(past)
    if not evidence.answered:
        return
    if evidence.section_known is False:
        why = f"the proxy has no section {section}: something else answers at {front}"
        yield why, f"{section} is not in `show stat`"
    if evidence.counted == 0:
        why = f"{front} answers, but not the proxy: its section {section} counted no session"
        yield why, f"{section}: 0 sessions"
