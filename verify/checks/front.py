"""The front addresses that clients know, and the unmodified client at them."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.toml import Model
from calorimeter.verdict import Figure, Judgement, failed, inconclusive, passed

MULTIPLE_CHOICES = 300
"""What Heat answers to `GET /`: a document of its versions."""


class Version(Model):
    """One version of a version document, with the link it gives for it."""

    id: str
    status: str
    href: str


class Front(Model):
    """Evidence of P1 and P2: one `GET /` at a front address.

    `status` is 0 and `error` says why where no answer came. `backends` are the described ones' own
    addresses. `counted` is how many sessions the proxy's section counted meanwhile, None where that
    cannot be seen; `section_known` is whether the proxy has that section at all.
    """

    api: str
    url: str
    front: str
    backends: dict[str, str]
    section: str
    status: int
    error: str = ""
    answer: str = ""
    versions: tuple[Version, ...] = ()
    counted: int | None = None
    section_known: bool | None = None


def answers_at_the_front(evidence: Front) -> Judgement:
    """Whether the API answers with its versions at the address that clients know, through the proxy."""
    figures: dict[str, Figure] = {
        "url": evidence.url,
        "status": evidence.status,
        "versions": ", ".join(f"{v.id} {v.status}" for v in evidence.versions),
        "sessions_counted_by_the_proxy": evidence.counted,
    }
    name = evidence.api.upper()
    if (problem := next(_wrong(evidence, name), None)) is not None:
        why, example = problem
        return failed(why, [example], **figures)
    through = "" if evidence.counted else "; whether through the proxy cannot be seen without its stats"
    return passed(
        f"the {name} API answers at {evidence.front} with its versions ({figures['versions']}){through}",
        **figures,
    )


def _wrong(evidence: Front, name: str) -> Iterator[tuple[str, str]]:
    """What stands against it and what shows that, the gravest first."""
    front, section = evidence.front, evidence.section
    if evidence.status == 0:
        said = f"GET {evidence.url}: {evidence.error}"
        yield f"nobody answers for the {name} API at {front}: {evidence.error}", said
        return
    for backend, address in evidence.backends.items():
        if address == front:
            why = f"the {name} front address {front} is a backend's own: its clients pass the proxy by"
            yield why, f"{backend}: {address}"
    if evidence.status != MULTIPLE_CHOICES or not evidence.versions:
        why = f"what answers at {front} is not Heat's {name} API: no version document"
        yield why, f"status {evidence.status}: {evidence.answer!r}"
    for version in evidence.versions:
        for backend, address in evidence.backends.items():
            if f"//{address}/" in f"{version.href}/":
                why = f"the {name} API's own links lead clients past the proxy"
                yield why, f"{version.id}: {version.href} (backend {backend})"
    if evidence.section_known is False:
        why = f"the proxy has no section {section}: something else answers at {front}"
        yield why, f"{section} is not in `show stat`"
    if evidence.counted == 0:
        why = f"{front} answers, but not the proxy: its section {section} counted nothing"
        yield why, f"{section}: 0 sessions"


class Call(Model):
    """One call of the `openstack` client: its words, exit status, the end of what it said, seconds."""

    words: tuple[str, ...]
    status: int
    said: str
    took_s: float


class ClientCalls(Model):
    """Evidence of P3: the unmodified client lists, creates, shows and deletes a small stack.

    `endpoint` is what the catalog tells clients; `shown` is the state of the stack that `show` gave,
    `listed` whether the list after the create named it, `left` whether the list after the delete did.
    """

    command: str
    front: str
    endpoint: str | None
    stack: str
    calls: tuple[Call, ...]
    listed: bool = False
    shown: str | None = None
    left: bool = False
    counted: int | None = None


def client_works(evidence: ClientCalls) -> Judgement:
    """Whether list, create, show and delete all did what they say, at the proxy's address."""
    figures: dict[str, Figure] = {
        "calls": len(evidence.calls),
        "seconds": round(sum(call.took_s for call in evidence.calls), 1),
        "endpoint": evidence.endpoint,
        "sessions_counted_by_the_proxy": evidence.counted,
    }
    if not evidence.calls:
        return inconclusive("the client was not called", **figures)
    wrong = [
        f"`{evidence.command} {' '.join(call.words)}` ended with status {call.status}: {call.said}"
        for call in evidence.calls
        if call.status != 0
    ]
    if not wrong:
        if not evidence.listed:
            wrong.append(f"{evidence.stack} was created and is not in the list")
        if evidence.shown != "CREATE_COMPLETE":
            wrong.append(f"{evidence.stack} is shown as {evidence.shown}")
        if evidence.left:
            wrong.append(f"{evidence.stack} was deleted and is still in the list")
    if wrong:
        return failed("the unmodified openstack client does not work", wrong, **figures)
    if evidence.endpoint is not None and f"//{evidence.front}/" not in f"{evidence.endpoint}/":
        return failed(
            f"the client works, but the catalog sends it to {evidence.endpoint}, not to {evidence.front}",
            [f"endpoint of orchestration: {evidence.endpoint}"],
            **figures,
        )
    if evidence.counted == 0:
        return failed("the client works, but not through the proxy: it counted nothing", (), **figures)
    return passed(
        f"the unmodified openstack client listed, created, showed and deleted a stack at {evidence.front}",
        **figures,
    )
