"""`lab up` killed with SIGKILL at random moments: `lab down` clears all of it, and the next `lab up` works.

The moments are spread over the time of a whole `lab up`, one in each of as many equal parts as there are
rounds. After each, `lab down` must leave nothing; then a whole lab must come up with every part running.
Prints one line per round, the counts, and the median time of a whole `lab up`. Exit status 1 if a round
failed. Further arguments are options of `lab up`.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress

from calorimeter.core import paths
from calorimeter.lab import ports, processes
from tests.soak.labs import calorimeter, left

NAME = "soak-killed-up"
UP_S = 600


def killed(shape: list[str], after_s: float) -> bool:
    """Kill a `lab up` after so many seconds; False if it had ended before."""
    command = [sys.executable, "-m", "calorimeter", "lab", "up", "--name", NAME, *shape]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as up:
        with suppress(subprocess.TimeoutExpired):
            up.wait(after_s)
            return False
        up.kill()
    return True


def down() -> list[str]:
    """Take the lab down; what is wrong then."""
    folder = paths.lab(NAME)
    had = ports.reserved(folder)
    done = calorimeter("lab", "down", "--name", NAME)
    wrong = [] if done.returncode == 0 else [f"lab down: {done.stderr.strip()}"]
    listening = {each.port for each in ports.listening()} & set(had)
    wrong += [f"left: port {port} is listened on" for port in sorted(listening)]
    return wrong + left(folder) + [f"left: port {port} is reserved" for port in ports.reserved(folder)]


def whole(shape: list[str]) -> tuple[float, list[str]]:
    """Bring a whole lab up: its seconds, and what is wrong."""
    began = time.monotonic()
    up = calorimeter("lab", "up", "--name", NAME, *shape)
    took_s = time.monotonic() - began
    if up.returncode != 0:
        return took_s, [f"lab up: {up.stderr.strip()}"]
    status = calorimeter("lab", "status", "--name", NAME)
    listed = calorimeter("lab", "exec", "--name", NAME, "openstack", "stack", "list")
    wrong = [] if status.returncode == 0 else [f"lab status: {status.stdout}"]
    return took_s, wrong + ([] if listed.returncode == 0 else [f"stack list: {listed.stderr.strip()}"])


def main() -> int:
    """Run the soak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="number of kills (default 20)")
    parser.add_argument(
        "--seed", type=int, default=None, help="seed of the moments (default: a random one)"
    )
    parser.add_argument(
        "--cold", action="store_true", help="kill while the database template is made: each has a new cache"
    )
    given, shape = parser.parse_known_args()
    seed = given.seed if given.seed is not None else random.randrange(10**6)
    moments = random.Random(seed)
    took_s, wrong = whole(shape)
    wrong += down()
    print(f"seed {seed}; a whole lab up takes {took_s:.1f} s", *wrong, sep="\n  ", flush=True)
    times, failed, ended = [took_s], bool(wrong), 0
    for number in range(given.rounds):
        with tempfile.TemporaryDirectory(prefix="calorimeter-") as cache:
            if given.cold:
                os.environ["XDG_CACHE_HOME"] = cache
            after_s = (number + moments.random()) / given.rounds * statistics.median(times)
            ended += not killed(shape, after_s)
            parts = {each.part for each in processes.running(paths.lab(NAME))}
            wrong = down()
            took_s, problems = whole(shape)
            wrong += problems + down()
        times.append(took_s)
        failed += bool(wrong)
        print(
            f"round {number + 1}: killed after {after_s:.1f} s with {len(parts)} parts; "
            f"up again in {took_s:.1f} s",
            *wrong,
            sep="\n  ",
            flush=True,
        )
    print(
        f"{given.rounds} rounds: {failed} failed; {ended} had ended before their moment; "
        f"whole lab up: median {statistics.median(times):.1f} s, {min(times):.1f} to {max(times):.1f} s"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
