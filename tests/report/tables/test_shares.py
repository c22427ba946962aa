"""Shares per backend and per engine, from counters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from calorimeter.core.verdict import Verdicts
from calorimeter.report import page_content
from calorimeter.report.tables import expected_shares, shares, watch_files


def test_a_counter_that_was_reset_counts_on() -> None:
    """A counter that fell was reset: what it shows afterwards was counted since."""
    assert shares.increments(pd.Series([10, 15, 15, 2, 4])) == 9


def test_backends_are_counted_between_the_first_poll_and_the_last(builder: Any, polls: Any) -> None:
    """Connections before the run do not count; each section is counted on its own."""
    found = watch_files.read(builder.watch("proxy", polls.proxy(60)).run)
    table = shares.backends_watched(found.servers)
    assert table[["group", "name", "n"]].to_numpy().tolist() == [
        ["cfn_api_proxy", "cfn-1", 60],
        ["cfn_api_proxy", "cfn-2", 60],
        ["rest_api_proxy", "rest-1", 120],
        ["rest_api_proxy", "rest-2", 60],
    ]
    assert table["share"].tolist() == pytest.approx([0.5, 0.5, 2 / 3, 1 / 3])
    assert table["expected"].tolist() == [0.5] * 4


def test_two_proxies_are_counted_apart_and_added(builder: Any, polls: Any) -> None:
    """Each counts its own connections to the same servers: their counters are two, not one that falls."""
    other = polls.proxy(60)
    for poll in other:
        poll["proxy"] = "standby"
        poll["t_ns"] += 1_000
        for row in poll["servers"]:
            row["stot"] += 5_000
    both = [poll for pair in zip(polls.proxy(60), other, strict=True) for poll in pair]
    table = shares.backends_watched(watch_files.read(builder.watch("proxy", both).run).servers)
    assert table["n"].tolist() == [120, 120, 240, 120]


def test_engines_are_told_by_their_process(builder: Any, polls: Any) -> None:
    """Deliveries of a topic are counted by the process that its connection names."""
    found = watch_files.read(builder.watch("broker", polls.broker(60)).run)
    table = shares.engines_watched(found.channels)
    assert table[table["group"] == "engine"]["n"].tolist() == [600, 600, 600]
    assert table[table["group"] == "engine_worker"]["n"].tolist() == [1800, 1800, 1800]
    assert table["name"].unique().tolist() == ["engine 4711", "engine 4712", "engine 4713"]


def test_an_engine_that_joined_counts_from_zero(builder: Any, polls: Any) -> None:
    """A channel that was not there at the first poll had delivered nothing before it."""
    every = polls.broker(60)
    for poll in every[:30]:
        poll["channels"] = [channel for channel in poll["channels"] if ":4713:" not in channel["name"]]
    table = shares.engines_watched(watch_files.read(builder.watch("broker", every).run).channels)
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
    """A last line that `kill -9` truncated is left out and listed; so is a missing file."""
    found = watch_files.read(builder.watch("proxy", polls.proxy(3), tail='{"t_ns": 17').run)
    assert found.servers["t_ns"].nunique() == 4
    assert found.gaps[0] == "watch/proxy.jsonl: 1 of 5 polls are truncated or unreadable and were left out."
    assert found.gaps[1].startswith("watch/broker.jsonl is missing")


def test_a_poll_that_saw_nothing_says_why(builder: Any, polls: Any) -> None:
    """A poll written as unavailable is a gap with its reason."""
    lost = [{"t_ns": 1, "unavailable": "broker: connection refused"}]
    found = watch_files.read(builder.watch("broker", [*polls.broker(3), *lost]).run)
    assert (
        "watch/broker.jsonl: 1 of 5 polls got no answer; the first: broker: connection refused"
        in found.gaps
    )


@pytest.mark.parametrize("line", ["null", "[]", "{}", '{"t_ns": 1, "servers": [{}]}', "\x00\x00"])
def test_foreign_lines_are_left_out(builder: Any, line: str) -> None:
    """Lines that are no poll leave the page without that table, and do not break it."""
    found = watch_files.read(builder.watch("proxy", [], tail=line).run)
    assert found.servers.empty
    assert any("unreadable" in gap for gap in found.gaps)


def _opened(builder: Any, one: Any, sources: list[tuple[str, int]]) -> pd.DataFrame:
    """Connections of samples with these sources and ports."""
    samples = [one("rest list", source=source, source_port=port) for source, port in sources]
    builder.samples({name: [row[name] for row in samples] for name in samples[0]})
    found = page_content.collect(builder.run).load
    assert found is not None
    assert found.sources == len({source for source, _ in sources})
    return found.connections


def test_connections_are_told_by_their_ports(builder: Any, one: Any) -> None:
    """Requests of one source port are one connection; what was never sent opened none."""
    sources = [("127.0.0.1", 4000), ("127.0.0.1", 4000), ("127.0.0.1", 4001), ("127.0.0.2", 4000), ("", 0)]
    assert _opened(builder, one, sources).to_numpy().tolist() == [
        ["rest", "127.0.0.1", 2],
        ["rest", "127.0.0.2", 1],
    ]


def test_shares_are_predicted_from_the_hash(builder: Any, one: Any, polls: Any) -> None:
    """With two equal servers even addresses go to the first; busy sources count by their connections."""
    opened = _opened(builder, one, [("10.0.0.2", 1), ("10.0.0.2", 2), ("10.0.0.2", 3), ("10.0.0.3", 1)])
    servers = watch_files.read(builder.watch("proxy", polls.proxy(3)).run).servers
    table = expected_shares.bands(opened, servers, builder.run.deployment()).set_index("name")
    assert table["predicted"].to_dict() == {"rest-1": 0.75, "rest-2": 0.25}
    assert (table["low"] <= 0.5).all()
    assert (table["high"] >= 0.5).all()


@pytest.mark.slow
def test_random_addresses_lie_in_the_band_as_often_as_it_says(builder: Any, polls: Any) -> None:
    """Of 100 sets of 60 random addresses about one leaves the band, at most 5."""
    servers = watch_files.read(builder.watch("proxy", polls.proxy(3)).run).servers
    deployment = builder.run.deployment()
    rng = np.random.default_rng(4)
    outside = 0
    for _ in range(100):
        parts = rng.integers(0, 256, (60, 2))
        sources = [f"10.0.{a}.{b}" for a, b in parts.tolist()]
        opened = pd.DataFrame({"api": "rest", "source": sources, "n": 1})
        table = expected_shares.bands(opened, servers, deployment)
        inside = (table["low"] <= table["predicted"]) & (table["predicted"] <= table["high"])
        outside += not inside.all()
    assert outside <= 5  # the 99.9 % quantile of a binomial of 100 at 1 %


@pytest.mark.parametrize("status", ["DOWN", "MAINT"])
def test_a_server_that_was_out_leaves_no_one_prediction(
    builder: Any, one: Any, polls: Any, status: str
) -> None:
    """If a server left the rotation during the run, its section has no predicted share."""
    every = polls.proxy(3)
    every[1]["servers"][1]["status"] = status
    servers = watch_files.read(builder.watch("proxy", every).run).servers
    opened = _opened(builder, one, [("10.0.0.2", 1)])
    assert expected_shares.bands(opened, servers, builder.run.deployment()).empty
