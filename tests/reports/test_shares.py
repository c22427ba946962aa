"""Shares per backend and per engine, from counters."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from calorimeter.verdict import Verdicts
from reports import shares, watch


def test_a_counter_that_was_reset_counts_on() -> None:
    """A counter that fell was reset: what it shows afterwards was counted since."""
    assert shares.increments(pd.Series([10, 15, 15, 2, 4])) == 9


def test_backends_are_counted_between_the_first_poll_and_the_last(builder: Any, polls: Any) -> None:
    """What a server had taken before the run is not the run's; sections are counted apart."""
    found = watch.read(builder.watch("proxy", polls.proxy(60)).run)
    table = shares.backends_watched(found.servers)
    assert table[["group", "name", "n"]].to_numpy().tolist() == [
        ["cfn_api_proxy", "cfn-1", 60],
        ["cfn_api_proxy", "cfn-2", 60],
        ["rest_api_proxy", "rest-1", 120],
        ["rest_api_proxy", "rest-2", 60],
    ]
    assert table["share"].tolist() == pytest.approx([0.5, 0.5, 2 / 3, 1 / 3])
    assert table["expected"].tolist() == [0.5] * 4


def test_engines_are_told_by_their_process(builder: Any, polls: Any) -> None:
    """Deliveries of a topic are counted by the process that its connection names."""
    found = watch.read(builder.watch("broker", polls.broker(60)).run)
    table = shares.engines_watched(found.channels)
    assert table[table["group"] == "engine"]["n"].tolist() == [600, 600, 600]
    assert table[table["group"] == "engine_worker"]["n"].tolist() == [1800, 1800, 1800]
    assert table["name"].unique().tolist() == ["engine 4711", "engine 4712", "engine 4713"]


def test_an_engine_that_joined_counts_from_zero(builder: Any, polls: Any) -> None:
    """A channel that was not there at the first poll had delivered nothing before it."""
    every = polls.broker(60)
    for poll in every[:30]:
        poll["channels"] = [channel for channel in poll["channels"] if ":4713:" not in channel["name"]]
    table = shares.engines_watched(watch.read(builder.watch("broker", every).run).channels)
    assert table[table["group"] == "engine"]["n"].tolist() == [600, 600, 600]


def test_shares_of_verdicts_stand_in(polls: Any, builder: Any) -> None:
    """Without polls, the figures of S1 and E2 say who served what."""
    verdicts = Verdicts(verdicts=polls.gates())
    backends = shares.backends_judged(verdicts, builder.run.deployment())
    assert backends.set_index("name")["share"].to_dict() == {
        "rest-1": 0.5,
        "rest-2": 0.5,
        "cfn-1": 0.4,
        "cfn-2": 0.6,
    }
    assert set(backends["group"]) == {"rest_api_proxy", "cfn_api_proxy"}
    engines = shares.engines_judged(verdicts)
    assert engines["share"].tolist() == pytest.approx([11 / 31, 10 / 31, 10 / 31])


def test_what_was_cut_off_is_a_gap(builder: Any, polls: Any) -> None:
    """A last line that `kill -9` cut off is left out and said; a file that is not there is said."""
    found = watch.read(builder.watch("proxy", polls.proxy(3), tail='{"t_ns": 17').run)
    assert found.servers["t_ns"].nunique() == 4
    assert found.gaps[0] == "watch/proxy.jsonl: 1 of 5 polls were cut off or unreadable and are left out."
    assert found.gaps[1].startswith("watch/broker.jsonl is not there")


def test_a_poll_that_saw_nothing_says_why(builder: Any, polls: Any) -> None:
    """A poll written as unavailable is a gap with its reason."""
    lost = [{"t_ns": 1, "unavailable": "broker: connection refused"}]
    found = watch.read(builder.watch("broker", [*polls.broker(3), *lost]).run)
    assert (
        "watch/broker.jsonl: 1 of 5 polls saw nothing, at first: broker: connection refused" in found.gaps
    )


@pytest.mark.parametrize("line", ["null", "[]", "{}", '{"t_ns": 1, "servers": [{}]}', "\x00\x00"])
def test_foreign_lines_are_left_out(builder: Any, line: str) -> None:
    """Lines that are no poll leave the page without that table, and do not break it."""
    found = watch.read(builder.watch("proxy", [], tail=line).run)
    assert found.servers.empty
    assert any("unreadable" in gap for gap in found.gaps)
