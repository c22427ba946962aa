"""`bin/soak field [NUMBER [FIRST [SECONDS]]]`: mutated field cases, and each promise that is broken."""

from __future__ import annotations

import sys
import time
import traceback
from collections import Counter

from tests.config.field.mutations import mutated
from tests.config.field.promises import broken_promises

NUMBER = 20_000
SHOWN = 3
"""Examples shown of one kind of fault."""


def _faults(number: int) -> list[str]:
    try:
        return broken_promises(mutated(number))
    except Exception as problem:
        last = traceback.extract_tb(problem.__traceback__)[-1]
        return [f"raises {type(problem).__name__} in {last.filename}:{last.lineno}: {problem}"]


def main() -> int:
    """Try NUMBER mutations from FIRST on, for SECONDS at most; exit status 1 if a promise is broken."""
    given = [int(word) for word in sys.argv[1:]]
    number, first, seconds = (*given, *(NUMBER, 0, 10**6)[len(given) :])
    kinds: Counter[str] = Counter()
    started = time.monotonic()
    done = 0
    for done in range(1, number + 1):
        for fault in _faults(first + done - 1):
            kind = "".join(char for char in fault if not char.isdigit())[:40]
            kinds[kind] += 1
            if kinds[kind] <= SHOWN:
                print(f"mutated({first + done - 1}): {fault}", flush=True)
        if time.monotonic() - started > seconds:
            break
    print(f"{done} mutations in {time.monotonic() - started:.0f} s, {sum(kinds.values())} broken promises")
    for kind, count in kinds.most_common():
        print(f"{count:6}  {kind}")
    return int(bool(kinds))
