"""Evidence of T5 as it is read from a run folder, and T5 on a whole recorded soak."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calorimeter.core.recorded.growth import WINDOWS, GrowthRecord, nothing_grows
from calorimeter.core.verdict import Outcome
from calorimeter.gates.context import Context, Settings
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.service_level.watched_series import growth_of
from calorimeter.report import page, page_content
from tests.report.run_builder import START_NS, Builder

LENGTH_S = 1800
SCENARIO = """\
name = "soak"
about = "A soak."
users = 12
duration_s = 1800
[rest]
template = "tiny.yaml"
mix = { list = 1 }
"""


def polls(kind: str, leak_mb_per_h: float = 0.0) -> list[dict[str, Any]]:
    """A poll every five seconds; engine-1 may leak, and the machine as a whole grows in any case."""
    rng = np.random.default_rng(5)
    found: list[dict[str, Any]] = []
    for second in range(0, LENGTH_S, 5):
        noise = rng.integers(-200_000, 200_000)
        rss = int(150e6 + noise + leak_mb_per_h * 1e6 * second / 3600)
        servers = [
            {"section": "rest_api_proxy", "server": name, "scur": int(20 + rng.integers(-2, 3)), "qcur": 0}
            for name in ("FRONTEND", "rest-1", "BACKEND")
        ]
        row = {
            "processes": {
                "processes": [
                    {"part": "engine-1", "cpu_s": second / 2, "rss_bytes": rss},
                    {"part": "(this machine)", "cpu_s": second, "rss_bytes": 10**9 + 10**6 * second},
                ]
            },
            "proxy": {"proxy": "proxy-1", "servers": servers},
            "broker": {
                "queues": [{"name": "engine", "messages_ready": 0, "messages_unacknowledged": second % 2}],
                "channels": [{}, {}, {}],
            },
        }[kind]
        found.append({"t_ns": START_NS + second * 10**9, **row})
    return found


def soak(folder: Path, *names: str, leak_mb_per_h: float = 0.0) -> Builder:
    """A recorded soak of half an hour, with these files of the watch."""
    builder = Builder(folder / "run").about(
        scenario="soak", stopped="ended", clean_stop=True, load={"warm_up_s": 0, "duration_s": LENGTH_S}
    )
    (builder.path / "scenario.toml").write_text(SCENARIO)
    builder.samples(seconds=LENGTH_S, rate=5.0)
    for name in names:
        builder.watch(name, polls(name, leak_mb_per_h))
    return builder


def evidence(builder: Builder) -> GrowthRecord:
    """What the experiment of T5 reads."""
    return growth_of(Context(builder.run.deployment(), Settings(), run=builder.run))


def test_every_file_of_the_watch_gives_its_series(tmp_path: Path) -> None:
    """Memory of parts, not of the machine; sections, not servers; queues and channels; operations."""
    found = evidence(soak(tmp_path, "processes", "proxy", "broker"))
    names = [(each.kind, each.name) for each in found.series if each.kind != "latency"]
    assert names == [
        ("memory", "engine-1"),
        ("connections", "connections to rest_api_proxy at proxy-1"),
        ("connections", "consuming channels of the broker"),
        ("queue", "connections that wait in rest_api_proxy at proxy-1"),
        ("queue", "messages in engine"),
    ]
    assert {each.name for each in found.series if each.kind == "latency"} >= {"rest.list", "cfn.ListStacks"}
    memory = found.series[0]
    assert len(memory.values) == WINDOWS and all(value is not None for value in memory.values)
    assert memory.values[0] == pytest.approx(150, abs=0.3)
    (listing,) = [each for each in found.series if each.name == "rest.list"]
    assert listing.values[5] == pytest.approx(25, rel=0.3)
    assert [each.name for each in found.load] == ["requests per second"]
    assert found.load[0].values[3] == pytest.approx(5, abs=1.5)
    assert (found.users, found.per_day, found.missing) == (12, 1.0, ())
    assert found.length_s == pytest.approx(LENGTH_S, abs=1)


def test_a_leak_is_red_and_its_slope_is_on_the_page(tmp_path: Path) -> None:
    """200 MB an hour; without the leak this part is not among what grows."""
    builder = soak(tmp_path, "processes", "proxy", "broker", leak_mb_per_h=200)
    found = evidence(builder)
    judged = nothing_grows(found)
    assert judged.outcome is Outcome.FAIL
    assert judged.counter_examples[0].startswith("memory of engine-1: +")
    builder.run.save_evidence("T5", found)
    files = page.words(page_content.collect(builder.run), [])
    assert "## Growth" in files["report.md"].decode()
    assert "<td>memory of engine-1</td>" in files["index.html"].decode()
    calm = nothing_grows(evidence(soak(tmp_path / "calm", "processes", "proxy", "broker")))
    assert calm.outcome is not Outcome.FAIL, calm.why


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    """A foreign deployment without `usage`, proxy and broker: latency is judged, and only that."""
    found = evidence(soak(tmp_path))
    assert found.missing == tuple(
        f"watch/{name}.jsonl is missing" for name in ("processes", "proxy", "broker")
    )
    why = nothing_grows(found).why
    assert "judged: latency; not recorded: memory of parts, connections, queues, table rows" in why


def test_a_restarted_part_is_judged_since_then(tmp_path: Path) -> None:
    """Its processor time fell: what was before is left out."""
    builder = soak(tmp_path, "processes")
    lines = polls("processes")
    for number, poll in enumerate(lines):
        poll["processes"][0] = {"part": "engine-1", "cpu_s": number % 120, "rss_bytes": 10**8 + number}
    builder.watch("processes", lines)
    memory = evidence(builder).series[0]
    assert memory.restarted and memory.name == "engine-1"
    assert memory.values[0] is None and memory.values[-1] is not None


def test_rows_of_tables_are_read_if_the_usage_command_prints_them(tmp_path: Path) -> None:
    """As `tables` beside `processes`."""
    builder = soak(tmp_path)
    lines = [{**poll, "tables": [{"table": "stack", "rows": 7}]} for poll in polls("processes")]
    builder.watch("processes", lines)
    (rows,) = [each for each in evidence(builder).series if each.kind == "rows"]
    assert (rows.name, rows.values[4]) == ("stack", 7.0)


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "null",
        '{"t_ns": 1e999, "processes": []}',
        '{"t_ns": -1, "processes": []}',
        '{"t_ns": 5, "processes": [{"part": 1, "cpu_s": 1, "rss_bytes": 1}]}',
        '{"t_ns": 5, "processes": [{"part": "a", "cpu_s": NaN, "rss_bytes": 1}]}',
        '{"t_ns": 5, "processes": [{"part": "a", "cpu_s": 1, "rss_bytes": 1e300}]}',
        '{"t_ns": 5, "unavailable": "no answer"}',
    ],
)
def test_damaged_polls_are_counted_and_left_out(tmp_path: Path, line: str) -> None:
    """They are no error, and no value."""
    builder = soak(tmp_path)
    (builder.path / "watch" / "processes.jsonl").write_text(
        "".join(json.dumps(poll) + "\n" for poll in polls("processes")) + line + "\n"
    )
    found = evidence(builder)
    assert found.missing[0] == "watch/processes.jsonl: 1 polls got no answer or are damaged"
    assert found.series[0].name == "engine-1"


def test_a_run_without_a_measured_part_or_with_countless_parts_is_unavailable(tmp_path: Path) -> None:
    """Gate T5 is INCONCLUSIVE then, with the reason."""
    builder = soak(tmp_path)
    many = [{"part": f"p{n}", "cpu_s": 1.0, "rss_bytes": 5} for n in range(1100)]
    builder.watch("processes", [{"t_ns": START_NS + 10**9, "processes": many}])
    with pytest.raises(EvidenceUnavailable, match="more than 1,000 parts"):
        evidence(builder)
    empty = Builder(tmp_path / "empty").about()
    (empty.path / "scenario.toml").write_text(SCENARIO)
    with pytest.raises(EvidenceUnavailable, match="holds no samples"):
        evidence(empty)
