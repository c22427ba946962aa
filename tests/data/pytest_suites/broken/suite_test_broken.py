"""Gates that end without a verdict of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from calorimeter.core.toml import Model
from calorimeter.core.verdict import Judgement, failed, passed
from calorimeter.gates.context import Context
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.judge import Judge
from calorimeter.gates.registry import gate


class Nothing(Model):
    """Evidence of nothing."""


def breaks(evidence: Nothing) -> Judgement:
    """Break, in two lines."""
    raise ValueError("of two\nlines")


@pytest.fixture
def no_set_up() -> Iterator[None]:
    """Fail to set up."""
    raise RuntimeError("no set-up")
    yield


@gate("X1", guide="", needs=())
def test_check_breaks(judge: Judge) -> None:
    """Its check breaks."""
    judge(Nothing(), breaks)


@gate("X2", guide="", needs=())
def test_sees_nothing(context: Context) -> None:
    """It sees nothing."""
    raise EvidenceUnavailable("proxy log", "is empty")


@gate("X3", guide="", needs=())
def test_judges_nothing(context: Context) -> None:
    """It judges nothing."""


@gate("X4", guide="", needs=())
def test_skips(context: Context) -> None:
    """It skips itself."""
    pytest.skip("not today")


@gate("X5", guide="", needs=())
@pytest.mark.skip(reason="not now")
def test_is_skipped(context: Context) -> None:
    """It is skipped."""


@gate("X6", guide="", needs=())
def test_is_not_set_up(no_set_up: None) -> None:
    """It is not set up."""


@gate("X7", guide="", needs=())
def test_fails_by_itself(context: Context) -> None:
    """It fails without evidence."""
    pytest.fail("by itself")


@gate("X8", guide="", needs=())
def test_breaks_after_its_verdict(judge: Judge) -> None:
    """It breaks when it has passed."""
    judge(Nothing(), lambda evidence: passed("well"))
    raise SystemExit(0)


class TestOfAClass:
    """Gates may be methods."""

    @gate("X9", guide="", needs=())
    @pytest.mark.xfail
    def test_fails(self, judge: Judge) -> None:
        """It fails."""
        judge(Nothing(), lambda evidence: failed("not so", []))
