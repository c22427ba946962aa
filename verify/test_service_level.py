"""Gates T: the service level, judged from a load that was recorded (`--run RUN`)."""

from __future__ import annotations

from calorimeter.core.recorded.baseline import GUIDE, no_worse
from calorimeter.core.recorded.growth import nothing_grows
from calorimeter.core.recorded.load_history import newest_change_is_no_worse
from calorimeter.gates.context import Context
from calorimeter.gates.judge import Judge
from calorimeter.gates.registry import gate
from calorimeter.gates.service_level.objectives import not_the_bottleneck, objectives_hold
from calorimeter.gates.service_level.recorded_load import (
    baseline,
    generator_of,
    history,
    service_of,
)
from calorimeter.gates.service_level.watched_series import growth_of


@gate("T1", guide=GUIDE, needs=("recorded load",))
def test_objectives_hold(context: Context, judge: Judge) -> None:
    """The scenario's objectives hold: throughput, latency and errors, from the raw samples."""
    judge(service_of(context.recorded), objectives_hold)


@gate("T2", guide=GUIDE, needs=("recorded load", "baseline"))
def test_no_worse_than_the_baseline(context: Context, judge: Judge) -> None:
    """No operation is slower than in the baseline or has a lower throughput, by a statistical test."""
    judge(baseline(context), no_worse)


@gate("T3", guide=GUIDE, needs=("recorded load",))
def test_the_generator_was_not_the_bottleneck(context: Context, judge: Judge) -> None:
    """The generator was not the bottleneck: it sent on time and had CPU time to spare."""
    judge(generator_of(context.recorded), not_the_bottleneck)


@gate("T4", guide=GUIDE, needs=("recorded load", "history"))
def test_the_newest_change_is_not_for_the_worse(context: Context, judge: Judge) -> None:
    """The newest change in the history of this load is not for the worse."""
    judge(history(context), newest_change_is_no_worse)


@gate("T5", guide=GUIDE, needs=("soak",))
def test_nothing_grows(context: Context, judge: Judge) -> None:
    """Memory, connections, queues, table rows and latency do not grow during a long load."""
    judge(growth_of(context), nothing_grows)
