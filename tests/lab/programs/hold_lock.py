"""Hold the lock of the lab whose folder is given, until killed."""

import signal
import sys
from pathlib import Path

from calorimeter.lab import lock

with lock.held(Path(sys.argv[1]), 0):
    print("held", flush=True)
    signal.pause()
