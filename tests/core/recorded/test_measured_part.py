"""The measured part of a run, from rows as they are recorded; and that a page and gate T1 agree on it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.core.errors import InputError
from calorimeter.core.recorded.measured_part import measured_part
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.recorded.sample_extent import extent_of
from calorimeter.core.recorded.sample_stream import SampleStream
from calorimeter.core.recorded.samples import SAMPLE
from calorimeter.core.statistics import samples_needed
from calorimeter.gates.service_level.recorded_load import service_of
from calorimeter.report import page_content

S = 1_000_000_000

Row = tuple[float, float, str, str]
"""When it was due, how long it took (s), its error and its phase."""

ROWS: tuple[Row, ...] = (
    (100.0, 0.1, "", "warm_up"),
    (103.0, 0.1, "", "load"),
    (104.0, 0.3, "timeout", "load"),
    (105.0, 0.2, "", "load"),
    (110.5, 0.1, "", "clean_up"),
)

ENDED = {"stopped": "ended", "load": {"warm_up_s": 2, "duration_s": 10.0}}


def recorded(
    folder: Path, rows: tuple[Row, ...] | list[Row], about: dict[str, Any] | None = None
) -> RunDir:
    """A run folder that holds these samples and a scenario with two objectives."""
    columns: dict[str, list[Any]] = {field.name: [] for field in SAMPLE}
    for number, (due, took, error, phase) in enumerate(rows):
        values: dict[str, Any] = dict.fromkeys(columns, 0) | {
            "scheduled_ns": int(due * S),
            "sent_ns": int(due * S),
            "done_ns": int((due + took) * S),
            "api": "rest",
            "operation": ("list", "show")[number % 2],
            "error": error,
            "source": "",
            "request_id": "",
            "phase": phase,
        }
        for name, value in values.items():
            columns[name].append(value)
    arrays = [pa.array(columns[field.name]).cast(field.type) for field in SAMPLE]
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(arrays, schema=SAMPLE), folder / "samples" / "worker-00.parquet")
    required = {"schema_version": 1, "id": "run", "started": "", "deployment": "", "commands": []}
    noted = {**required, "environment": {}, "proxy_config": []}
    (folder / "run.json").write_text(json.dumps({**noted, **(about or {})}))
    (folder / "scenario.toml").write_text(SCENARIO)
    return RunDir.open(folder)


SCENARIO = """
name = "mix"
about = "Lists and shows."
users = 1
duration_s = 10
[rest]
mix = { list = 1 }
template = "tiny.yaml"
[[objectives]]
operation = "rest.list"
p99_ms = 100
[[objectives]]
operation = "rest.show"
max_error_ratio = 0.1
"""


def part_of(folder: Path, rows: tuple[Row, ...], about: dict[str, Any]) -> tuple[float, float] | None:
    """Begin and end of the measured part, in s."""
    part = measured_part(extent_of(SampleStream(recorded(folder, rows))), about)
    return (part.first_ns / S, part.last_ns / S) if part else None


def test_the_measured_part_is_what_the_run_notes(tmp_path: Path) -> None:
    """Few requests do not shorten it: else a slow deployment would seem quicker than it was."""
    assert part_of(tmp_path, ROWS, ENDED) == (102, 110)


def test_the_measured_part_ends_before_the_clean_up(tmp_path: Path) -> None:
    """The first request came a second late: the part does not reach into the deletes at the end."""
    about = ENDED | {"load": {"warm_up_s": 2, "duration_s": 11.0}}
    assert part_of(tmp_path, ROWS, about) == (102, pytest.approx(110.5))


def test_a_slow_request_that_is_labelled_clean_up_does_not_end_the_part(tmp_path: Path) -> None:
    """It was due within the load: the requests after it stay measured."""
    slow = (104.5, 9.0, "", "clean_up")
    assert part_of(tmp_path, (*ROWS, slow), ENDED) == (102, 110)


def test_a_run_that_did_not_end_in_order_is_measured_by_its_requests(tmp_path: Path) -> None:
    """Interrupted, or made before run.json noted its length."""
    assert part_of(tmp_path, ROWS, {"stopped": "interrupted"}) == (103, 105)
    assert part_of(tmp_path, ROWS, {}) == (103, 105)


def test_a_warm_up_request_due_later_moves_the_begin(tmp_path: Path) -> None:
    """Two workers end their warm-up at different times: the part begins after both."""
    begin, end = part_of(tmp_path, (*ROWS, (103.5, 0.1, "", "warm_up")), {}) or (0, 0)
    assert (begin, end) == (pytest.approx(103.5), 105)
    assert begin * S > 103.5 * S


def test_without_a_request_due_in_it_there_is_no_part(tmp_path: Path) -> None:
    """All was warm-up; or the only request of the load was due before the noted warm-up ended."""
    assert part_of(tmp_path, ROWS[:1], {}) is None
    early = ((100.0, 0.1, "", "load"), (110.0, 0.1, "", "clean_up"))
    assert part_of(tmp_path, early, ENDED | {"load": {"warm_up_s": 2, "duration_s": 5.0}}) is None
    late = (*early, (103.0, 0.1, "", "warm_up"))  # the load's own requests do not decide alone
    assert part_of(tmp_path, late, ENDED | {"load": {"warm_up_s": 2, "duration_s": 5.0}}) == (102, 105)


def test_times_that_no_request_has_are_refused(tmp_path: Path) -> None:
    """Due before 1970, or answered hours later: for the page and for the gate."""
    run = recorded(tmp_path, [(100.0, 5 * 3600.0, "", "load")])
    with pytest.raises(InputError, match="times that no request has"):
        extent_of(SampleStream(run))
    with pytest.raises(Exception, match="times that no request has"):
        service_of(run)


ROW = st.tuples(
    st.floats(100, 160), st.floats(0, 30), st.sampled_from(["", "", "", "timeout", "dropped", "status"]),
    st.sampled_from(["warm_up", "load", "load", "load", "clean_up"]),
)  # fmt: skip
ABOUT = st.one_of(
    st.just({}),
    st.just({"stopped": "interrupted", "load": {"warm_up_s": 1, "duration_s": 60}}),
    st.builds(
        lambda warm_up, length: {
            "stopped": "ended",
            "clean_stop": True,
            "load": {"warm_up_s": warm_up, "duration_s": length},
        },
        st.floats(0, 20),
        st.floats(21, 90),
    ),
)


@pytest.mark.slow
@settings(max_examples=40)
@given(rows=st.lists(ROW, min_size=1, max_size=120), about=ABOUT)
def test_a_page_and_gate_t1_count_the_same_requests(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], about: dict[str, Any]
) -> None:
    """Requests, successes, rate and percentiles of every operation are equal, or the page says why not."""
    agree(recorded(tmp_path_factory.mktemp("run"), rows, about))


def test_a_page_and_gate_t1_count_the_same_requests_of_one_run(tmp_path: Path) -> None:
    """The example that is quick: warm-up, failures and a dropped request."""
    rows = [(100 + n / 10, 0.01 * n, "", "warm_up" if n < 20 else "load") for n in range(90)]
    rows += [
        (105.05, 1.0, "timeout", "load"),
        (105.15, 0.0, "dropped", "load"),
        (109.5, 1.0, "", "clean_up"),
    ]
    agree(recorded(tmp_path, rows, ENDED))


def agree(run: RunDir) -> None:
    """Assert that the figures of the run's page are those of gate T1."""
    page = page_content.collect(run)
    judged = service_of(run)
    load = page.load
    assert load is not None
    everything = judged.of("*")
    if not everything.requests:
        assert load.all_measured
        assert any("all figures cover the whole run" in gap for gap in page.gaps)
        return
    assert load.measured.length_s == judged.window_s
    table = load.operations.set_index("operation")
    for name in ("*", "rest.list", "rest.show"):
        gate = judged.of(name)
        row = load.operations.iloc[-1] if name == "*" else table.T.get(name.replace(".", " "))
        if row is None:
            assert gate.requests == 0
            continue
        assert (row["n"], row["ok"], row["dropped"]) == (gate.requests, gate.ok, gate.dropped)
        if judged.window_s:
            assert row["rate"] == pytest.approx(gate.ok / judged.window_s)
        for percent in (50, 99):
            shown = row[f"response_p{percent}"]
            assert math.isnan(shown) == (gate.ok < samples_needed(percent))
            if not math.isnan(shown):
                assert shown * 1e3 == pytest.approx(gate.response_ms[f"p{percent}"], abs=1e-5)
    assert load.rate.estimate == pytest.approx(load.operations["rate"].iloc[-1])
