"""A process of the suite: `python suite_with_a_fault.py DEPLOYMENT FAULT` injects a fault and stays."""

import sys
import time
from pathlib import Path

from calorimeter.core.deployment import read
from calorimeter.core.faults.injector import FaultInjector
from calorimeter.core.faults.schedule import commands

cloud = read(Path(sys.argv[1]))
with FaultInjector(cloud) as injector:
    print("in", flush=True)
    found = commands(cloud.parts[0], sys.argv[2])
    assert found is not None
    injector.inject(found)
    print("broken", flush=True)
    time.sleep(60)  # the test ends this process
