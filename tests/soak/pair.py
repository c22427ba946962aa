"""The faults of a pair of proxies, each some times: how long clients notice, and what they get.

A client connects to the virtual address every 20 ms, each time from a new port. `lasted` is when the last
connection began that failed, in seconds from the fault; `back` are connections that failed when the fault
was healed. Prints one line per fault, then a table of medians and maxima. Exit status 1 if clients noticed
a fault for longer than they may, or its healing at all. It needs root.
"""

from __future__ import annotations

import argparse
import statistics
from functools import partial

from calorimeter.core.waiting import until
from tests.lab.hosts.pair_outages import BROKEN, act, all_up, holder, outage
from tests.soak.labs import calorimeter

NAME = "soak-pair"


def struck(part: str, fault: str, heal: str) -> tuple[float, int]:
    """Break this part of the proxy that has the address, and heal it: seconds, and failures then."""
    first = holder(NAME)
    broken = f"{part}{first}" if part == "P" else f"{part}-{first}"
    try:
        seen = outage(NAME, partial(act, NAME, broken, fault))
    finally:
        back = outage(NAME, partial(act, NAME, broken, heal), 3.0)
    until(lambda: all_up(NAME, f"proxy-{first}"), 20)
    return seen.lasted_s, back.ended


def main() -> int:
    """Run the soak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="times of each fault (default 5)")
    rounds = parser.parse_args().rounds
    up = calorimeter("lab", "up", "--name", NAME, "--proxies", "2", "--peers", "--engines", "2")
    if up.returncode != 0:
        print(up.stderr)
        return 2
    lasted: dict[str, list[float]] = {}
    wrong = 0
    try:
        for number in range(1, rounds + 1):
            for part, fault, heal, within_s in BROKEN:
                seconds, back = struck(part, fault, heal)
                wrong += seconds >= within_s or back > 0
                lasted.setdefault(f"{part} {fault}", []).append(seconds)
                print(f"{number} {part} {fault}: lasted {seconds:.2f} s, back {back}", flush=True)
    finally:
        calorimeter("lab", "down", "--name", NAME)
    for name, seconds_of in lasted.items():
        print(f"{name}: median {statistics.median(seconds_of):.2f} s, longest {max(seconds_of):.2f} s")
    print(f"{rounds * len(BROKEN)} faults, {wrong} longer than they may be or seen at the return")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
