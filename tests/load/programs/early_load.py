"""`locust …` with blocks of 0.2 s instead of 6 s, and with reports of workers ten times a second.

So a load that misses an objective ends within seconds. The arguments are those of the `locust` command.
"""

from __future__ import annotations

import sys

import locust.runners
from locust.main import main

from calorimeter.load.run import objective_watch

locust.runners.WORKER_REPORT_INTERVAL = 0.1
objective_watch.BLOCK_S = 0.2
sys.argv[0] = "locust"
main()
