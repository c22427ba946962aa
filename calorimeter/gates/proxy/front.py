"""The front addresses that clients know, and the unmodified client at them."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive, passed
from calorimeter.gates.clients.visits import missed_rate

MULTIPLE_CHOICES = 300
"""What Heat answers to `GET /`: a document of its versions."""


class Version(Model):
    """One version of a version document, with the link it gives for it."""

    id: str
    status: str
    href: str


class Reply(Model):
    """What became of one `GET /` on a connection of its own from `source`.

    `status` is 0 and `error` says why where no answer came; `unsent` is whether this machine could not even
    send it: no port, no route, no file descriptor. That says nothing of who should have answered.
    """

    source: str = ""
    status: int
    error: str = ""
    unsent: bool = False
    answer: str = ""
    versions: tuple[Version, ...] = ()


class Front(Model):
    """Evidence of P1 and P2: `GET /` at a front address, from several sources, one after another.

    After one without an answer no more are sent. `backends` are the described ones' own addresses.
    `counted` is how many sessions the proxy's section counted meanwhile, None where that cannot be seen;
    `section_known` is whether the proxy has that section at all.
    """

    api: str
    url: str
    front: str
    backends: dict[str, str]
    section: str
    replies: tuple[Reply, ...]
    counted: int | None = None
    section_known: bool | None = None

    @property
    def answered(self) -> tuple[Reply, ...]:
        """Those that got an answer, whatever it was."""
        return tuple(reply for reply in self.replies if reply.status)


def answers_at_the_front(evidence: Front) -> Judgement:
    """Whether the API answers with its versions at the address that clients know, through the proxy.

    The address and the links are facts; whether each request finds them is a matter of how many were sent:
    with n and none in violation, a rate above 1 − 0.05^(1/n) would have been seen with 95 % probability.
    """
    # The first that is not as it should be tells most.
    strange = [reply for reply in evidence.replies if not reply.versions]
    shown = (*strange, *evidence.replies, Reply(status=0))[0]
    figures: dict[str, Figure] = {
        "url": evidence.url,
        "status": shown.status,
        "versions": ", ".join(f"{v.id} {v.status}" for v in shown.versions),
        "sources": len({reply.source for reply in evidence.replies}),
        "connections": len(evidence.answered),
        "requests": len(evidence.replies),
        "sessions_counted_by_the_proxy": evidence.counted,
    }
    name, asked = evidence.api.upper(), len(evidence.replies)
    if (problem := next(_wrong(evidence, name), None)) is not None:
        why, *examples = problem
        return failed(why, examples, **figures)
    if (doubt := next(_doubts(evidence), None)) is not None:
        return inconclusive(doubt, **figures)
    missed = missed_rate(asked)
    through = "" if evidence.counted else "; whether through the proxy cannot be seen without its stats"
    return passed(
        f"the {name} API answers at {evidence.front} with its versions ({figures['versions']}), to each of "
        f"{asked} requests from {figures['sources']} sources; more than {missed:.2%} of requests in "
        f"violation would have been seen (95 % confidence){through}",
        missed_rate_95=round(missed, 6),
        **figures,
    )


def _doubts(evidence: Front) -> Iterator[str]:
    """Why nothing is proven, where nothing is refuted."""
    asked, answered = len(evidence.replies), len(evidence.answered)
    if not asked:
        yield f"nothing was asked of {evidence.front}"
    for number, reply in enumerate(evidence.replies, start=1):
        if reply.unsent:
            yield f"this machine could not send request {number} to {evidence.front}: {reply.error}"
    if evidence.counted is not None and evidence.counted < answered:
        yield (
            f"the proxy counted {evidence.counted} sessions of {answered} that were answered: somebody "
            "else answers as well, or it was started anew meanwhile"
        )


def _wrong(evidence: Front, name: str) -> Iterator[tuple[str, ...]]:
    """What stands against it and what shows that, the gravest first."""
    front, section = evidence.front, evidence.section
    unanswered = [reply for reply in evidence.replies if not reply.status and not reply.unsent]
    if unanswered:
        error = unanswered[0].error
        said = f"GET {evidence.url}: {error}"
        many = f"{len(unanswered)} of {len(evidence.replies)} requests were not answered"
        why = f"{many} for" if evidence.answered else "nobody answers for"
        yield f"{why} the {name} API at {front}: {error}", said
        return
    for backend, address in evidence.backends.items():
        if address == front:
            why = f"the {name} front address {front} is a backend's own: its clients pass the proxy by"
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
        why = f"{front} answers, but not the proxy: its section {section} counted nothing"
        yield why, f"{section}: 0 sessions"
