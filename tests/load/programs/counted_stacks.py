"""The life of three stacks of one user, as the methods of a user count them. Prints the counts."""

from __future__ import annotations

import json
from types import SimpleNamespace

from calorimeter.load.operations.operation import Stack
from calorimeter.load.recording.recorder import LedgerRow
from calorimeter.load.run.users import RestUser


def stack(name: str) -> Stack:
    """A stack that was just accepted."""
    return Stack(SimpleNamespace(name=name), LedgerRow(name, name, "rest", "req", 1, 0), None)  # type: ignore[arg-type]


session = SimpleNamespace(in_progress=0)
quiet = SimpleNamespace(add=lambda row: None, give_back=lambda: None)
user = SimpleNamespace(session=session, stacks=[], quota=quiet, _ledger=quiet, _report=lambda *_: None)
complete, slow, removed = stack("complete"), stack("slow"), stack("removed")
counts = []


def note() -> None:
    """Count now."""
    counts.append(session.in_progress)


for each in (complete, slow, removed):
    RestUser.accepted(user, each)  # type: ignore[arg-type]
note()
complete.entry.final_ns = 5
RestUser.completed(user, complete.entry, "")  # type: ignore[arg-type]
note()
RestUser.completed(user, slow.entry, "not complete in time")  # type: ignore[arg-type]
note()
RestUser.finish(user, removed)  # type: ignore[arg-type]
note()
slow.entry.final_ns = 9
RestUser.completed(user, slow.entry, "")  # type: ignore[arg-type]
note()
for each in (complete, slow):
    RestUser.finish(user, each)  # type: ignore[arg-type]
note()
print(json.dumps(counts))
