"""What looks at a load beside it: its watch every second, a browser every two, Prometheus every five.

`python -m tests.bench.page_reader FOLDER PORT` fills FOLDER with a run, prints a line, and asks the pages
at PORT until its input ends. Then it prints how many answers it got, as JSON.
"""

from __future__ import annotations

import http.client
import json
import select
import sys
import time
from contextlib import suppress
from pathlib import Path

from calorimeter.core.deployment import read
from calorimeter.live.live_view import LiveView
from calorimeter.live.live_watch import FILE, LiveWatch
from tests.live.shown_run import made

BROWSER_S = 2.0
PROMETHEUS_S = 5.0


def main() -> None:
    """Look until the input ends."""
    folder, port = made(Path(sys.argv[1])), int(sys.argv[2])
    watch = LiveWatch(folder, read(folder / "deployment.toml"), time.time_ns())
    due = {"/live.json": 0.0, "/metrics": 0.0}
    answers = dict.fromkeys(due, 0)
    with LiveView(watch, folder / FILE).kept():
        print("ready", flush=True)
        while not select.select([sys.stdin], [], [], 0.1)[0]:
            for path, every_s in (("/live.json", BROWSER_S), ("/metrics", PROMETHEUS_S)):
                if time.monotonic() >= due[path]:
                    due[path] = time.monotonic() + every_s
                    answers[path] += _answered(port, path)
    print(json.dumps(answers))


def _answered(port: int, path: str) -> bool:
    with suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", path)
        answer = connection.getresponse()
        return bool(answer.read()) and answer.status == 200
    return False


if __name__ == "__main__":
    main()
