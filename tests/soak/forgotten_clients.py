"""Which clients the `haproxy` on $PATH forgets when servers die, by what mends it or does not.

A client is forgotten if it has neither an answer nor an end after twice as long as every timeout. Prints
one line per setting, for one of two dead servers and for both. Exit status 1 if the setting that the lab
and `calorimeter generate` write (`option redispatch 1`) forgets one.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from tests.gates.proxy.test_redispatch import CHECKED, after_a_crash

PATIENCE_S = 12.0
UNENDED = CHECKED.partition(" on-marked-down")[0]
RECOMMENDED = "option redispatch 1"

SETTINGS = {
    "option redispatch": ("option redispatch", "consistent", CHECKED),
    "no redispatch": ("", "consistent", CHECKED),
    RECOMMENDED: (RECOMMENDED, "consistent", CHECKED),
    f"{RECOMMENDED}, map-based": (RECOMMENDED, "map-based", CHECKED),
    "retries 0": ("option redispatch\n  retries 0", "consistent", CHECKED),
    "sessions are not shut down": ("option redispatch", "consistent", UNENDED),
}
"""Setting → more lines of `defaults`, hash type, words of each server line."""


def main() -> int:
    """Run the soak."""
    version = subprocess.run(["haproxy", "-v"], capture_output=True, text=True, check=True).stdout
    print(version.partition("\n")[0])
    forgotten = 0
    for dead in (1, 2):
        for name, (lines, hash_type, words) in SETTINGS.items():
            with tempfile.TemporaryDirectory() as folder:
                got = after_a_crash(
                    Path(folder), lines, hash_type=hash_type, words=words, dead=dead, patience_s=PATIENCE_S
                )
            forgotten += got["waits"] if name.startswith(RECOMMENDED) else 0
            print(f"{dead} dead, {name}: {dict(got)}", flush=True)
    return 1 if forgotten else 0
