"""The ledger of a burst of stacks: every stack that Heat took on ends well (L1) and is deleted (L2)."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive, passed
from calorimeter.gates.engines.backlog import FEWEST_STACKS, StackBurst


def all_final(evidence: StackBurst) -> Judgement:
    """L1: whether every stack that Heat took on reached exactly one final state, complete and readable.

    The templates cannot fail, so a failed stack is a fault of the deployment. A read-back is usually served
    by another engine than the one that encrypted and stored the value.
    """
    taken = evidence.taken
    figures: dict[str, Figure] = {
        "creates": len(evidence.entries),
        **evidence.create_counts(),
        "complete": sum(e.outcome == "CREATE_COMPLETE" for e in taken),
        "failed": sum(e.outcome == "CREATE_FAILED" for e in taken),
        "not_final": sum(not e.final for e in taken),
        "read_back": sum(e.read is not None for e in taken),
    }
    wrong = list(_wrong_ends(evidence))
    if wrong:
        return failed(
            f"{len(wrong)} of {len(taken)} stacks did not end as required: {wrong[0]}", wrong, **figures
        )
    if too_small := evidence.why_too_small():
        return inconclusive(too_small, **figures)
    return passed(
        f"{len(taken)} stacks{evidence.exceptions()} became CREATE_COMPLETE, each once, and every output "
        "that was read back had its original value",
        **figures,
    )


def _wrong_ends(evidence: StackBurst) -> Iterator[str]:
    for record in evidence.taken:
        read = record.read
        if not record.states:
            yield f"{record} was accepted, but never listed"
        elif not record.final:
            yield f"{record} is {record.outcome} after {evidence.waited_s:g} s"
        elif record.outcome != "CREATE_COMPLETE":
            yield f"{record} became {record.outcome}, although its template cannot fail"
        elif ends := [s.status for s in record.states if s.final][:-1]:
            yield f"{record} had another final state before: {', '.join(ends)}"
        elif read is not None and not read.call.ok:
            yield f"{record} could not be read back: {read.call}"
        elif read is not None and not read.as_made:
            yield (
                f"{record}: {read.call.engine or 'an engine'} returned its output as {read.said} "
                "(do all engines have the same auth_encryption_key?)"
            )


def nothing_left(evidence: StackBurst) -> Judgement:
    """L2: whether deletes leave nothing: no stack, and no message in the engines' queues.

    A delete without an answer in time is unknown, not failed: it is counted, repeated, and judged by what
    is left.
    """
    deletes = [e.delete for e in evidence.entries if e.delete is not None]
    accepted = sum(delete.ok for delete in deletes)
    last_ns = max((e.gone_ns for e in evidence.entries if e.delete and e.gone_ns), default=0)
    first_ns = min((delete.sent_ns for delete in deletes), default=last_ns)
    figures: dict[str, Figure] = {
        "deletes": len(deletes),
        "accepted": accepted,
        "unanswered": len(deletes) - accepted,
        "left": len(evidence.left),
        "messages_left": evidence.waiting,
        "all_gone_s": round((last_ns - first_ns) / 1e9, 2),
    }
    wrong = [f"{name} is still listed" for name in evidence.left]
    if evidence.waiting:
        wrong.append(f"{evidence.waiting} messages are left in the engines' queues")
    if wrong:
        return failed(f"after {len(deletes)} deletes: {wrong[0]}", wrong, **figures)
    if len(deletes) < FEWEST_STACKS:
        return inconclusive(
            f"{len(deletes)} stacks were deleted, at least {FEWEST_STACKS} are needed", **figures
        )
    return passed(
        f"{len(deletes)} deletes left no stack and no message; the last stack was gone "
        f"{figures['all_gone_s']} s after the first delete",
        **figures,
    )
