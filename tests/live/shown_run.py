"""The figures of a run folder made of literals, as the live page shows them."""

from __future__ import annotations

from pathlib import Path

from calorimeter.core import verdict
from calorimeter.core.deployment import read
from calorimeter.core.verdict import Verdicts
from calorimeter.live.live_figures import FaultNow, LiveFigures
from calorimeter.live.live_watch import LiveWatch
from tests.live.test_live_generator import window
from tests.report.recorded import broker_polls, gates, proxy_polls
from tests.report.run_builder import START_NS, Builder

S = 10**9
SECONDS = 90
AT_NS = START_NS + SECONDS * S + 1


def made(path: Path) -> Path:
    """A run folder with ninety seconds of polls, a load, and a verdict of each outcome."""
    builder = Builder(path).about()
    builder.watch("proxy", proxy_polls(SECONDS)).watch("broker", broker_polls(SECONDS))
    builder.watch("generator", [window(second) for second in range(SECONDS + 1)])
    verdict.write(Verdicts(verdicts=gates()), path / "verdicts.json")
    return path


def figures(path: Path, at_ns: int = AT_NS) -> LiveFigures:
    """The figures of such a run at a moment, with one fault open and one healed."""
    found = LiveWatch(made(path), read(path / "deployment.toml"), START_NS).figures(at_ns)
    faults = (
        FaultNow(part="rest-2", fault="kill", begun_ns=at_ns - 20 * S, ended_ns=at_ns - 10 * S),
        FaultNow(part='engine "1"\\', fault="freeze\n<b>x</b>", begun_ns=at_ns - 5 * S, ended_ns=0),
    )
    return found.model_copy(update={"faults": faults})
