"""The experiment of D1: the same operations with few stacks and with many, and what was counted."""

from __future__ import annotations

import time
from collections.abc import Iterator

from calorimeter.core import foreign
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.clients.heat_client import HeatClient
from calorimeter.gates.clients.stack_records import StackRecord
from calorimeter.gates.clients.stacks import TIMEOUT_MIN, Stacks, temporary_stacks
from calorimeter.gates.context import Context
from calorimeter.gates.database.operation_statements import (
    PROMISES,
    OperationStatements,
    OperationWindow,
    StackCount,
)
from calorimeter.gates.evidence import digest_window
from calorimeter.gates.evidence.database_digests import DatabaseReader
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

FEW, MANY = 4, 12
"""Stacks. Both are above 1: `IN (?)` and `IN (?, ?)` are two classes, `IN` of more is the latter's."""

ROUNDS = 2
"""How often stacks are asked for: a create that failed is no matter of D1."""

RESOURCES = 4
REQUESTS = 40
"""Requests of each operation in a window: more than background may add to a class by chance."""

WARM_UP = 20
"""Requests of each operation before, at least, and one for each worker of an engine: each has then opened
its connection to the database."""


def statements_by_stacks(context: Context) -> OperationStatements:
    """Read the server's digests around each operation of `PROMISES`, with `FEW` and with `MANY` stacks.

    Raises EvidenceUnavailable if the database cannot be read, or no stack can be made.
    """
    database = context.database
    client = HeatClient(context, sources=1)
    with DatabaseReader.of(context.deployment) as reader, temporary_stacks(client, RESOURCES) as created:
        few = _with_stacks(context, reader, created, FEW)
        many = _with_stacks(context, reader, created, MANY)
    return OperationStatements(database=f"{database.url} {database.name}", few=few, many=many)


def _with_stacks(context: Context, reader: DatabaseReader, created: Stacks, number: int) -> StackCount:
    context.say(f"{number} stacks are created")
    complete = _complete(created)
    for _ in range(ROUNDS):
        if len(complete) < number:
            created.burst(number - len(complete))
            created.await_final(TIMEOUT_MIN * 60.0)
            complete = _complete(created)
    if not complete:
        raise EvidenceUnavailable("/stacks", "no stack became complete")
    warm_up = max(WARM_UP, sum(context.deployment.engine_consumers.values()))
    for name in PROMISES:
        _request(created.client, name, complete[0], warm_up)
    operations = tuple(_operations(context, reader, created.client, complete[0]))
    longest_s = max(each.counted.took_s for each in operations)
    context.say(f"the database is observed for {longest_s:.0f} s without requests")
    before = reader.settled()
    wait_idle(longest_s)
    return StackCount(
        stacks=number,
        complete=len(complete),
        first_incomplete=next((_fate(each) for each in created.records if each not in complete), ""),
        operations=operations,
        idle=digest_window.window(before, reader.settled()),
    )


def _fate(stack: StackRecord) -> str:
    """The last status of a stack, or else the answer to its create."""
    return f"{stack.name} {stack.outcome}" if stack.outcome else str(stack.create)


def _complete(created: Stacks) -> list[StackRecord]:
    return [each for each in created.records if each.outcome == "CREATE_COMPLETE"]


def wait_idle(length_s: float) -> None:
    """The idle window itself: others do what they do in the time of an operation's window."""
    time.sleep(length_s)


def _operations(
    context: Context, reader: DatabaseReader, client: HeatClient, stack: StackRecord
) -> Iterator[OperationWindow]:
    for name in PROMISES:
        context.say(f"{REQUESTS} requests: {name}")
        before = reader.settled()
        answers = _request(client, name, stack, REQUESTS)
        counted = digest_window.window(before, reader.settled())
        failed = [call for call, _ in answers if not call.ok]
        yield OperationWindow(
            operation=name,
            requests=len(answers),
            failed=len(failed),
            first_failed=str(failed[0]) if failed else "",
            listed=(answers[0][1], answers[-1][1]),
            counted=counted,
        )


def _request(client: HeatClient, name: str, stack: StackRecord, times: int) -> list[tuple[HeatCall, int]]:
    """The requests of an operation, one after the other: each call, and how many stacks it listed."""
    own = f"/stacks/{stack.name}/{stack.stack_id}"
    path = {
        "stack list": "/stacks",
        "stack show": own,
        "resource list": f"{own}/resources",
        "event list": f"{own}/events",
    }[name]
    answers = [client.call(name, "GET", path) for _ in range(times)]
    return [(call, _listed(answer)) for call, answer in answers]


def _listed(answer: object) -> int:
    try:
        return len(foreign.objects(foreign.member(answer, "stacks")))
    except foreign.UnintelligibleError:
        return 0
