"""The guardian of faults: a process that outlives a killed suite, to heal what it left broken.

`python -m calorimeter.core.faults.fault_guardian JOURNAL` prints `on`, waits until standard input ends, and
heals whatever is still open in the journal. The kernel closes that pipe for a suite that was killed too.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from calorimeter.core import guardian
from calorimeter.core.faults.journal import Journal, Unhealed

LOCK_S = 30.0


def main() -> int:
    """Be the guardian; 0 when nothing is left broken."""
    guardian.outlive()
    guardian.say("on")
    guardian.await_the_end()
    try:
        Journal(Path(sys.argv[1])).recover(LOCK_S, patient=True)
    except Unhealed as problem:
        with suppress(OSError):
            print(problem, file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
