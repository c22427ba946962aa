"""Records a sample every 2 ms to FOLDER, and prints its number, until it is killed."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import gevent

from calorimeter.load.recording.recorder import SampleRecorder

samples = SampleRecorder(Path(sys.argv[1]), "worker-00", print)
for number in range(10**6):
    samples.add("rest", "list", 200, "", "127.0.0.1", 1, b"req-1", number, "load", 1, 2, 3, time.time_ns())
    print(number, flush=True)
    gevent.sleep(0.002)
