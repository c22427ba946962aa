"""A gate with the id of a shipped one."""

from __future__ import annotations

from calorimeter.core.deployment import Consent
from calorimeter.core.toml import Model
from calorimeter.core.verdict import failed
from calorimeter.gates.judge import Judge
from calorimeter.gates.registry import gate


class Nothing(Model):
    """Evidence of nothing."""


@gate("S1", guide="", needs=())
def test_own(judge: Judge) -> None:
    """A passive gate of this suite."""
    judge(Nothing(), lambda evidence: failed("not so", []))


@gate("S2", guide="", needs=(), consent=Consent.INVASIVE)
def test_invasive(judge: Judge) -> None:
    """An invasive gate of this suite; the shipped one is passive."""
    raise AssertionError("it must not run")
