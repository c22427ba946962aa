"""Gates of somebody's own suite."""

from __future__ import annotations

from calorimeter.core.toml import Model
from calorimeter.core.verdict import Judgement, failed, passed
from calorimeter.gates.context import Context
from calorimeter.gates.judge import Judge
from calorimeter.gates.registry import gate


class Named(Model):
    """The name of a deployment."""

    name: str


def named(context: Context) -> Named:
    """Read the name."""
    return Named(name=context.deployment.name)


def has_a_name(evidence: Named) -> Judgement:
    """Any name will do."""
    return passed("it has one") if evidence.name else failed("it has none", ["''"])


def is_called_heaven(evidence: Named) -> Judgement:
    """Only one name will do."""
    return passed("it is") if evidence.name == "heaven" else failed("it is not", [evidence.name])


@gate("X1", guide="", needs=())
def test_the_deployment_has_a_name(context: Context, judge: Judge) -> None:
    """The deployment has a name."""
    judge(named(context), has_a_name)


@gate("X2", guide="", needs=())
def test_the_name_is_wrong(context: Context, judge: Judge) -> None:
    """The deployment is called heaven."""
    judge(named(context), is_called_heaven)
