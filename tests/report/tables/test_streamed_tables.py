"""The tables of a page do not depend on how samples are spread over files, and are those of one table."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calorimeter.core import statistics
from calorimeter.core.recorded import sample_stream
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.recorded.samples import SAMPLE
from calorimeter.report import load_tables, measured_runs
from calorimeter.report.load_tables import LoadTables
from calorimeter.report.tables.latency import CURVE_PERCENTS, PERCENTS
from tests.report.run_builder import Builder, drawn, one

ROW = st.builds(
    one,
    st.sampled_from(["rest list", "rest list", "rest show", "cfn ListStacks"]),
    at_ms=st.integers(0, 90_000),
    late_ms=st.sampled_from([0, 0, 1, 700]),
    took_ms=st.sampled_from([0, 5, 5, 20, 3000]) | st.integers(0, 20_000),
    error=st.sampled_from(["", "", "", "", "timeout", "status", "dropped"]),
    status=st.sampled_from([0, 200, 503]),
    source=st.sampled_from(["127.0.0.1", "127.0.0.2", ""]),
    source_port=st.integers(0, 3),
    phase=st.sampled_from(["warm_up", "load", "load", "load", "clean_up"]),
)
"""Samples as they may be, and some that lie on the edges of bins and are alike."""


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    """Samples as a table of Parquet."""
    return pa.table({name: [row[name] for row in rows] for name in SAMPLE.names}, schema=SAMPLE)


def read(folder: Path, tables: list[pa.Table], *, group: int, about: dict[str, Any]) -> LoadTables:
    """The tables of a run that has one file for each table, in row groups of `group` rows."""
    builder = Builder(folder).about(**about)
    for number, table in enumerate(tables):
        pq.write_table(table, folder / "samples" / f"w{number:03}.parquet", row_group_size=group)
    found = sample_stream.stream(builder.run)
    assert found is not None
    return load_tables.read(found, about)


def same(left: LoadTables, right: LoadTables, *but: str) -> None:
    """Assert that all tables are equal, to the last bit. Connections have no order."""
    for field in fields(LoadTables):
        if field.name in but:
            continue
        a, b = getattr(left, field.name), getattr(right, field.name)
        if not isinstance(a, pd.DataFrame):
            assert a == b or str(a) == str(b), field.name
            continue
        if field.name == "connections":
            a, b = (each.sort_values(["api", "source"], ignore_index=True) for each in (a, b))
        pd.testing.assert_frame_equal(a, b, check_exact=True, obj=field.name)


ABOUT = {"stopped": "ended", "load": {"warm_up_s": 5, "duration_s": 80.0}}


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.lists(ROW, min_size=1, max_size=150), data=st.data())
def test_files_and_row_groups_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    """One file, or several with rows in any order, read in blocks of any size."""
    about = data.draw(st.sampled_from([{}, ABOUT]))
    whole = read(tmp_path_factory.mktemp("one"), [table_of(rows)], group=1000, about=about)
    mixed = data.draw(st.permutations(rows))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=4)))
    parts = [mixed[a:b] for a, b in zip([0, *cuts], [*cuts, len(rows)], strict=True) if a < b]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample_stream, "ROWS", data.draw(st.integers(1, 60)))
        folder = tmp_path_factory.mktemp("many")
        apart = read(
            folder, [table_of(part) for part in parts], group=data.draw(st.integers(1, 40)), about=about
        )
    same(whole, apart, "points", "phases")  # every k-th in order; phases of one moment have no order
    assert sorted(whole.points["response"]) == sorted(apart.points["response"])


def frame(table: pa.Table) -> pd.DataFrame:
    """Samples as one table of pandas, in s."""
    rows = table.to_pandas().astype({"api": str, "operation": str, "error": str, "phase": str})
    never = rows["error"] == "dropped"
    return pd.DataFrame(
        {
            "due": rows["scheduled_ns"],
            "response": (rows["done_ns"] - rows["scheduled_ns"]).where(~never, 0),
            "service": (rows["done_ns"] - rows["sent_ns"]).where(~never, 0),
            "kind": rows["api"] + " " + rows["operation"],
            "error": rows["error"],
            "status": rows["status"],
            "ok": rows["error"] == "",
        }
    )


def percentile(values: pd.Series, percent: float) -> float:
    """A percentile in s by pandas; NaN if there are too few."""
    few = len(values) < statistics.samples_needed(percent)
    return math.nan if few else float(values.quantile(percent / 100)) / 1e9


def assert_columns(table: pd.DataFrame, expected: dict[str, Any]) -> None:
    """Assert that columns hold these values, but for rounding."""
    for name, values in expected.items():
        assert table[name].tolist() == pytest.approx(list(values), nan_ok=True, rel=1e-9), name


@pytest.fixture
def drawn_run(tmp_path: Path) -> tuple[pd.DataFrame, LoadTables]:
    """Nine thousand samples of two workers, as one table and as the tables of the page."""
    parts = [drawn(seed=seed, seconds=90, rate=50, failing=0.1) for seed in (1, 2)]
    found = read(tmp_path / "run", parts, group=700, about={})
    return frame(pa.concat_tables(parts)), found


def test_operations_and_curve_are_those_of_one_table(drawn_run: tuple[pd.DataFrame, LoadTables]) -> None:
    """Counts, rates and percentiles of each operation and of all."""
    rows, found = drawn_run
    kinds = sorted(set(rows["kind"]))
    groups = [rows[rows["kind"] == kind] for kind in kinds] + [rows]
    length_s = (rows["due"].max() - rows["due"].min()) / 1e9
    expected = {
        "operation": [*kinds, "all"],
        "n": map(len, groups),
        "ok": [own["ok"].sum() for own in groups],
        "rate": [own["ok"].sum() / length_s for own in groups],
    }
    assert found.operations["operation"].tolist() == expected.pop("operation")
    for name in ("response", "service"):
        for p in PERCENTS:
            expected[f"{name}_p{p:g}"] = [percentile(own.loc[own["ok"], name], p) for own in groups]
    assert_columns(found.operations, expected)
    good = rows[rows["ok"]]
    shown = [p for p in CURVE_PERCENTS if statistics.samples_needed(p) <= len(good)]
    curve = {name: [percentile(good[name], p) for p in shown] for name in ("response", "service")}
    assert_columns(found.curve, {"percent": shown, **curve})


def test_bounds_are_those_of_all_windows_at_once(drawn_run: tuple[pd.DataFrame, LoadTables]) -> None:
    """The bootstrap over blocks resamples the histograms that one table gives."""
    rows, found = drawn_run
    good = rows[rows["ok"]]
    block = ((good["due"] - rows["due"].min()) // (found.blocks.bin_s * 10**9)).to_numpy()
    inside = block < found.blocks.bins
    held = np.zeros((found.blocks.bins, statistics.CELLS), dtype=np.int64)
    cells = (np.log(good["response"].to_numpy()[inside]) / math.log(1.005)).astype(int)
    np.add.at(held, (block[inside], cells), 1)
    ((low, high),) = statistics.pooled_bounds(held, [50], seed=3).values()
    last = found.operations.iloc[-1]
    assert (last["response_p50_low"], last["response_p50_high"]) == (low / 1e9, high / 1e9)


def test_tables_over_time_are_those_of_one_table(drawn_run: tuple[pd.DataFrame, LoadTables]) -> None:
    """Rates, percentiles and lateness of each bin."""
    rows, found = drawn_run
    time, start, end = found.axis, rows["due"].min(), rows["due"] + rows["response"]

    def counts(times: pd.Series, bins: int, width_s: int) -> list[int]:
        return [int(((times - start) // (width_s * 10**9) == n).sum()) for n in range(bins)]

    rates = {
        "offered": counts(rows["due"], time.bins, time.bin_s),
        "achieved": counts(end[rows["ok"]], time.bins, time.bin_s),
        "errors": counts(end[~rows["ok"]], time.bins, time.bin_s),
    }
    assert_columns(found.rates, {name: np.array(n) / time.bin_s for name, n in rates.items()})
    for table, width_s, percents in (
        (found.latencies, found.latency_bin_s, (50, 90)),
        (found.tails, found.tail_bin_s, (99,)),
    ):
        bins = (rows["due"] - start) // (width_s * 10**9)
        own = [rows.loc[rows["ok"] & (bins == n), "response"] for n in range(len(table))]
        assert_columns(table, {f"p{p}": [percentile(each, p) for each in own] for p in percents})
    late = (rows["response"] - rows["service"]).groupby((rows["due"] - start) // (time.bin_s * 10**9))
    assert_columns(found.generator, {"lag_max": late.max().reindex(range(time.bins)) / 1e9})


def test_errors_and_heat_are_those_of_one_table(drawn_run: tuple[pd.DataFrame, LoadTables]) -> None:
    """Each error is counted with its median; each success of a whole bin is in one cell."""
    rows, found = drawn_run
    bad = rows[~rows["ok"]].groupby(["kind", "error", "status"])["response"].agg(["size", "median"])
    shown = found.errors.set_index(["operation", "error", "status"]).sort_index()
    assert shown.index.tolist() == bad.index.tolist()
    assert_columns(shown, {"n": bad["size"], "p50": bad["median"] / 1e9})
    whole = (rows["due"] - rows["due"].min()) // (found.axis.bin_s * 10**9) < found.axis.bins
    assert found.heat.to_numpy().sum() == (whole & rows["ok"]).sum()


def test_a_comparison_takes_the_medians_of_one_table(tmp_path: Path) -> None:
    """Of the run and of each window of its steady part, by operation."""
    parts = [drawn(seed=seed, seconds=60, rate=60) for seed in (3, 4)]
    builder = Builder(tmp_path / "run").about(stopped="ended", clean_stop=True)
    for number, part in enumerate(parts):
        pq.write_table(part, builder.path / "samples" / f"w{number}.parquet", row_group_size=500)
    measured = measured_runs.measure(RunDir(builder.path).path)
    rows = frame(pa.concat_tables(parts))
    good = rows[rows["ok"]]
    medians = good.groupby("kind")["response"].median() / 1e9
    shown = measured.runs.set_index("operation")["value"]
    assert shown.drop("all").to_dict() == pytest.approx(medians.to_dict())
    assert (measured.count, measured.failed) == (len(rows), len(rows) - len(good))
    lists = good[good["kind"] == "rest list"]
    of_window = lists.groupby((lists["due"] - rows["due"].min()) // 10**9)["response"].median() / 1e9
    windows = measured.windows[measured.windows["operation"] == "rest list"]["value"].tolist()
    assert windows == pytest.approx(of_window.tolist()[: len(windows)])
    assert len(windows) > 50
