"""A run of the suite that traces until it is killed: `python tracing_user.py DEPLOYMENT STATE`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from calorimeter.core import deployment
from calorimeter.gates.evidence.tracing import tracing

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored if pytest runs in the background
    with tracing(deployment.read(Path(sys.argv[1])), state=Path(sys.argv[2])):
        print("on", flush=True)
        signal.pause()
