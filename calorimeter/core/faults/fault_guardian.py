"""The guardian of faults: a process that outlives a killed suite and heals what the suite left broken.

`python -m calorimeter.core.faults.fault_guardian JOURNAL` prints `on`, waits until its standard input ends,
and heals the faults that are still open in the journal.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from calorimeter.core.errors import InputError
from calorimeter.core.faults.journal import Journal, Unhealed
from calorimeter.core.host import guardian

LOCK_S = 30.0


def main() -> int:
    """Run the guardian. Returns 0 if nothing is left broken, else 1."""
    guardian.ignore_signals()
    guardian.reply("on")
    guardian.wait_for_dismissal()
    try:
        Journal(Path(sys.argv[1])).recover(LOCK_S, patient=True)
    except (Unhealed, InputError) as problem:
        with suppress(OSError):
            print(problem, file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
