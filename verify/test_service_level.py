"""Gates T: the service level, judged from a load that was recorded (`--run RUN`)."""

from __future__ import annotations

from calorimeter.baseline import GUIDE, no_worse
from verify.bench import Bench
from verify.checks.service_level import not_the_bottleneck, objectives_hold
from verify.experiments.service_level import baseline, generator, service
from verify.gates import gate
from verify.judge import Judge


@gate("T1", guide=GUIDE, needs=("recorded load",))
def test_objectives_hold(bench: Bench, judge: Judge) -> None:
    """The scenario's objectives hold: throughput, latency and errors, from the raw samples."""
    judge(service(bench), objectives_hold)


@gate("T2", guide=GUIDE, needs=("recorded load", "baseline"))
def test_no_worse_than_the_baseline(bench: Bench, judge: Judge) -> None:
    """No operation is slower than in the baseline, and no less is answered, by a statistical test."""
    judge(baseline(bench), no_worse)


@gate("T3", guide=GUIDE, needs=("recorded load",))
def test_the_generator_was_not_the_bottleneck(bench: Bench, judge: Judge) -> None:
    """The generator was not the bottleneck: nothing sent late, and time to spare."""
    judge(generator(bench), not_the_bottleneck)
