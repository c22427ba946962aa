"""Gates S and P on healthy labs of many shapes: weights, both hashes, both modes, the guide's file.

It also tests which timeouts P5 proves, depending on which one is the shortest. Uses a lab of its own.
Prints one line per shape, with the figures of S6; exit status 1 if a verdict was unexpected. All gates
must be PASS, except that S6 cannot be determined with two backends, and S6 and S7 are FAIL without health
checks.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass

from calorimeter.core.verdict import Outcome, Verdict
from tests.soak.labs import calorimeter, judged, lab

NAME = "soak-proxy-shapes"
SHORT = ["--maxconn", "300", "--timeouts", "client=4s,server=3s,connect=1s"]


@dataclass(frozen=True)
class ProxyShape:
    """A number of backends of each API, and the options of the proxy.

    `gates` are run on it (empty: those of the command line); `proves` are the timeouts that P5 must prove
    for both APIs.
    """

    servers: int
    options: tuple[str, ...] = ()
    gates: str = ""
    proves: str = ""

    @property
    def expected(self) -> dict[str, Outcome]:
        """Gate → expected outcome, if that is not PASS."""
        if "guide" in self.options:
            return {"S6": Outcome.FAIL, "S7": Outcome.FAIL}
        return {"S6": Outcome.INCONCLUSIVE} if self.servers == 2 else {}

    def __str__(self) -> str:
        return f"{self.servers} backends {' '.join(self.options)}".rstrip()


def timed(shortest: str, proves: str, *options: str) -> ProxyShape:
    """Three backends behind a proxy with other timeouts, for P5 alone."""
    return ProxyShape(3, ("--timeouts", shortest, *options), gates="P5", proves=proves)


CONSISTENT = ("--hash-type", "consistent")
HTTP = ("--mode", "http")
SHAPES = (
    ProxyShape(5),
    ProxyShape(5, CONSISTENT),
    ProxyShape(5, ("--weights", "1,2,1,3,1", *HTTP)),
    ProxyShape(4),
    ProxyShape(4, CONSISTENT),
    ProxyShape(3),
    ProxyShape(3, CONSISTENT),
    ProxyShape(3, ("--weights", "1,2,1")),
    ProxyShape(3, ("--weights", "1,2,1", *CONSISTENT, *HTTP)),
    ProxyShape(3, HTTP),
    ProxyShape(3, ("--server-maxconn", "10"), gates="P4"),
    timed("client=2s,server=3s,connect=1s", "client, connect"),
    timed("client=3s,server=2s,connect=1s", "connect, server"),
    timed("client=3s,server=2s,connect=1s,http-request=1500ms", "connect, http-request, server", *HTTP),
    timed("client=1500ms,server=2s,connect=1s,http-request=3s", "client, connect, server", *HTTP),
    ProxyShape(3, ("--proxy", "guide")),
    ProxyShape(3, ("--proxy", "guide", *CONSISTENT)),
    ProxyShape(3, ("--proxy", "guide", *HTTP)),
    ProxyShape(2),
    ProxyShape(2, ("--weights", "1,3", *CONSISTENT, *HTTP)),
)
"""From many backends to few: a lab is scaled down faster than up."""


def wrong_in(shape: ProxyShape, found: dict[str, Verdict]) -> list[str]:
    """The unexpected verdicts, as sentences."""
    wrong = [
        f"    {gate} {v.judgement.outcome}: {v.judgement.why}"
        for gate, v in found.items()
        if v.judgement.outcome is not shape.expected.get(gate, Outcome.PASS)
    ]
    if shape.proves:
        seen = {found["P5"].judgement.figures.get(f"{api}_proven") for api in ("rest", "cfn")}
        wrong += [f"    P5 proved {proven}, not {shape.proves}" for proven in seen - {shape.proves}]
    return wrong


def figures(found: dict[str, Verdict]) -> str:
    """The price of a failure, as S6 measured it."""
    if "S6" not in found:
        return ""
    s6 = found["S6"].judgement.figures
    moved = [
        f"{api} {s6.get(f'{api}_survivors_moved')} of {s6.get(f'{api}_sources_of_survivors')} survivors' "
        f"sources moved ({s6.get(f'{api}_survivors_moved_share')}), predicted "
        f"{s6.get(f'{api}_predicted_moved_share')}"
        for api in ("rest", "cfn")
    ]
    p7 = f"\n    P7: {found['P7'].judgement.why}" if "P7" in found else ""
    return "; ".join(moved) + p7


def main() -> int:
    """Run the soak. Exit status 1 if a shape was unexpected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gates", default="S,P", help="gates to run on each shape (default: S,P)")
    parser.add_argument("--sources", type=int, default=1000, help="sources of each API (default 1000)")
    numbers = range(len(SHAPES))
    parser.add_argument(
        "--shape",
        type=int,
        action="append",
        choices=numbers,
        help="number of a shape (may be repeated; default: all)",
    )
    parser.add_argument("--lab", help="running lab with as many backends as the first shape, left up")
    given = parser.parse_args()
    shapes = [SHAPES[number] for number in given.shape or numbers]
    first = str(shapes[0].servers)
    wrong = 0
    with lab(given.lab, NAME, "--rest", first, "--cfn", first, "--engines", "1") as name:
        now = shapes[0].servers
        for shape in shapes:
            if shape.servers != now:
                now = shape.servers
                calorimeter("lab", "scale", "--name", name, "--rest", str(now), "--cfn", str(now))
            done = calorimeter("lab", "proxy", "--name", name, *SHORT, *shape.options)
            assert done.returncode == 0, done.stderr
            began = time.monotonic()
            verdicts = judged(name, shape.gates or given.gates, "--sources", str(given.sources))
            found = {each.gate: each for each in verdicts.verdicts}
            problems = wrong_in(shape, found)
            wrong += bool(problems)
            state = "UNEXPECTED" if problems else "as expected"
            print(f"{shape}: {state}, {time.monotonic() - began:.0f} s; {figures(found)}", flush=True)
            print("".join(f"{line}\n" for line in problems), end="", flush=True)
    print(f"{wrong} of {len(shapes)} shapes were unexpected")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
