"""Fixtures: run folders, and makers of what they hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.report.recorded import Polls, broker_polls, gates, process_polls, proxy_polls, trial
from tests.report.run_builder import START_NS, Builder, one


def everything(path: Path) -> Builder:
    """A run folder with all there can be: two files of samples, polls and verdicts."""
    builder = Builder(path).about()
    builder.samples(name="w0-0", seed=1).samples(name="w1-0", seed=2)
    builder.watch("proxy", proxy_polls()).watch("broker", broker_polls()).verdicts(*gates())
    builder.watch("processes", process_polls())
    builder.ledger(
        [
            {
                "stack_id": f"s{i}",
                "name": f"s{i}",
                "api": "rest",
                "request_id": f"req-{i}",
                "accepted_ns": START_NS + i * 1_000_000_000,
                "final_ns": START_NS + (i + 5) * 1_000_000_000,
                "final_state": "CREATE_COMPLETE",
                "deleted_ns": 0,
                "user": 1,
            }
            for i in range(40)
        ]
    )
    builder.evidence("H2", {"trials": [trial()]})
    (builder.path / "scenario.toml").write_text('name = "first-mix"\n')
    return builder


NAME = "20260102T030405Z-first-mix-ab12"


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    """A run folder with run.json and deployment.toml only."""
    return Builder(tmp_path / "runs" / NAME).about()


@pytest.fixture
def full(tmp_path: Path) -> Builder:
    """A run folder with everything, to be damaged."""
    return everything(tmp_path / "runs" / NAME)


@pytest.fixture(scope="module")
def module_builder(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """A run folder with everything, only to be read."""
    return everything(tmp_path_factory.mktemp("everything") / "runs" / NAME)


@pytest.fixture(name="one")
def _one() -> Callable[..., dict[str, Any]]:
    return one


@pytest.fixture
def polls() -> type[Polls]:
    """Makers of polls and verdicts."""
    return Polls
