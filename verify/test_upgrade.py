"""Gates U: an upgrade of Heat under load, judged from its record (`--run RUN`)."""

from __future__ import annotations

from calorimeter.gates.context import Context
from calorimeter.gates.judge import Judge
from calorimeter.gates.registry import gate
from calorimeter.gates.upgrade.nothing_lost import (
    each_serves_the_other,
    no_request_fails,
    no_stack_is_lost,
    taking_back_loses_nothing,
)
from calorimeter.gates.upgrade.recorded_upgrade import upgrade_of

GUIDE = (
    "individual heat-api and heat-engine services to be upgraded one at a time, with the rest of the "
    "services still available (Heat's guide for upgrades)"
)


@gate("U1", guide=GUIDE, needs=("recorded upgrade",))
def test_no_request_fails(context: Context, judge: Judge) -> None:
    """No request fails during an upgrade beyond what its procedure promises."""
    judge(upgrade_of(context.recorded), no_request_fails)


@gate("U2", guide=GUIDE, needs=("recorded upgrade",))
def test_no_stack_is_lost(context: Context, judge: Judge) -> None:
    """No stack is lost in an upgrade: each that was accepted becomes final."""
    judge(upgrade_of(context.recorded), no_stack_is_lost)


@gate("U3", guide=GUIDE, needs=("recorded upgrade",))
def test_each_release_serves_the_other(context: Context, judge: Judge) -> None:
    """Each release updates and deletes what the other one has made."""
    judge(upgrade_of(context.recorded), each_serves_the_other)


@gate("U4", guide=GUIDE, needs=("recorded upgrade",))
def test_taking_back_loses_nothing(context: Context, judge: Judge) -> None:
    """A step of an upgrade that is taken back loses nothing."""
    judge(upgrade_of(context.recorded), taking_back_loses_nothing)
