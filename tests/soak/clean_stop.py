"""Calls that a clean stop of an engine drops: by oslo.messaging alone, and by Heat's engine under gate E9.

Both with the default queue names and with `use_queue_manager`. Uses a lab of its own, or `--lab NAME`.
Prints counts; there is no pass or fail.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

from calorimeter.config.heat import heat_conf_writer
from calorimeter.core import verdict
from calorimeter.lab import lab_state
from calorimeter.lab.daemons import rabbitmq
from calorimeter.lab.sabotage import engine_sabotage
from tests.soak.labs import judged, lab

NAME = "soak-clean-stop"
SERVER = Path(__file__).with_name("stopped_server.py")


def alone(name: str, stops: int) -> None:
    """oslo.messaging without Heat: one line per setting."""
    opened = lab_state.open_lab(name)
    command = [opened.programs.heat("python"), "-W", "ignore", str(SERVER), str(stops)]
    environment = {**os.environ, "TRANSPORT": rabbitmq.transport(opened)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    print(done.stdout.strip(), flush=True)


def engine(name: str, stops: int, options: heat_conf_writer.Sections) -> None:
    """Heat's engine: gate E9 `stops` times, with the last engine's options changed."""
    engine_sabotage.changed(name, options)
    dropped = lossy = stacks = calls = 0
    for _ in range(stops):
        found = judged(name, "E9").of("E9").judgement
        lost = int(found.figures.get("failed_calls") or 0)
        calls += int(found.figures.get("calls") or 0)
        dropped += lost
        stacks += sum("calorimeter-" in example for example in found.counter_examples)
        lossy += found.outcome is not verdict.Outcome.PASS
        print(f"  {found.outcome}: {found.why}", flush=True)
    print(
        f"{dict(options)}: {lossy} of {stops} clean stops lost something: "
        f"{dropped} of {calls} calls, {stacks} stacks",
        flush=True,
    )


def main() -> None:
    """Run the soak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--stops", type=int, default=10, help="number of clean stops with each setting (default 10)"
    )
    parser.add_argument(
        "--lab", help="running lab, whose last engine is stopped and started (default: one of its own)"
    )
    given = parser.parse_args()
    with lab(given.lab, NAME) as name:
        alone(name, given.stops)
        with tempfile.TemporaryDirectory(prefix="calorimeter-") as locks:
            managed: heat_conf_writer.Sections = {
                "oslo_messaging_rabbit": {"use_queue_manager": True},
                "oslo_concurrency": {"lock_path": locks},
            }
            engine(name, given.stops, {})
            engine(name, given.stops, managed)
            engine_sabotage.heal(name)


if __name__ == "__main__":
    main()
