"""P3: the unmodified `openstack` client works through the proxy."""

from __future__ import annotations

from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive
from calorimeter.gates.clients.visits import no_violation


class ClientCall(Model):
    """One call of the `openstack` client: its words, exit status, last line of its errors, and seconds.

    `keystone` says why Keystone gave no token right after a call that failed; empty if it gave one.
    """

    words: tuple[str, ...]
    status: int
    said: str
    took_s: float
    keystone: str = ""


class ClientCalls(Model):
    """Evidence of P3: the unmodified client lists, creates, shows and deletes a small stack.

    `endpoint` is the orchestration endpoint in the catalog; `at_front` is whether its address is the front
    address, also by another name (None: not compared). `shown` is the stack's state in `show`, `listed` is
    whether the list after the create named it, `left` whether the list after the delete still did.
    """

    command: str
    front: str
    endpoint: str | None
    at_front: bool | None = None
    stack: str
    calls: tuple[ClientCall, ...]
    listed: bool = False
    shown: str | None = None
    left: bool = False
    counted: int | None = None


def client_works(evidence: ClientCalls) -> Judgement:
    """Whether list, create, show and delete all did what they say, at the proxy's address.

    That the client works once is a fact. That it works each time is not: with n commands and none failed, a
    rate of failures above 1 − 0.05^(1/n) would be detected with 95 % probability, and n is small.
    """
    figures: dict[str, Figure] = {
        "commands": len(evidence.calls),
        "seconds": round(sum(call.took_s for call in evidence.calls), 1),
        "endpoint": evidence.endpoint,
        "sessions_counted_by_the_proxy": evidence.counted,
    }
    if (refuted := _refuted(evidence)) is not None:
        why, examples = refuted
        return failed(why, examples, **figures)
    if (doubt := _unproven(evidence)) is not None:
        return inconclusive(doubt, **figures)
    why = (
        f"the unmodified openstack client listed, created, showed and deleted a stack at {evidence.front}, "
        f"in {len(evidence.calls)} commands"
    )
    return no_violation(why, len(evidence.calls), "failing commands", figures, digits=0)


def _refuted(evidence: ClientCalls) -> tuple[str, list[str]] | None:
    """Why the client does not work, with counter-examples; None if it works."""
    unsuccessful = [call for call in evidence.calls if call.status != 0]
    wrong = [
        f"`{evidence.command} {' '.join(call.words)}` ended with status {call.status}: {call.said}"
        for call in unsuccessful
        if not call.keystone
    ]
    if not unsuccessful and evidence.calls:
        if not evidence.listed:
            wrong.append(f"{evidence.stack} was created, but is not in the list")
        if evidence.shown != "CREATE_COMPLETE":
            wrong.append(f"{evidence.stack} is shown as {evidence.shown}")
        if evidence.left:
            wrong.append(f"{evidence.stack} was deleted, but is still in the list")
    if wrong:
        return "the unmodified openstack client does not work", wrong
    if unsuccessful or not evidence.calls:
        return None
    endpoint, front = evidence.endpoint, evidence.front
    if endpoint is not None and not evidence.at_front and f"//{front}/" not in f"{endpoint}/":
        why = f"the client works, but the catalog sends it to {endpoint}, not to {front}"
        return why, [f"endpoint of orchestration: {endpoint}"]
    if evidence.counted == 0:
        return "the client works, but not through the proxy, which counted no session", []
    return None


def _unproven(evidence: ClientCalls) -> str | None:
    """Why nothing is proven, if nothing is refuted; None if it is proven."""
    if not evidence.calls:
        return "the client was not called"
    failures = [call for call in evidence.calls if call.status != 0]
    if failures:
        return (
            f"Keystone gave no token ({failures[0].keystone}) when {len(failures)} of "
            f"{len(evidence.calls)} commands failed: that is not Heat's fault"
        )
    if evidence.endpoint is None and evidence.counted is None:
        return (
            "the client works, but nothing shows at which address: the catalog names no endpoint of "
            "orchestration, and the proxy's counters cannot be read"
        )
    return None
