"""When the load generator was the bottleneck."""

from __future__ import annotations

from pathlib import Path

import pytest

from calorimeter.core.recorded.load_generator import GeneratorWindow, bottleneck, windows

GOOD = GeneratorWindow(
    t_ns=1,
    length_s=1.0,
    worker="worker-00",
    cpu_share=0.5,
    lag_p50_s=0.0005,
    lag_p99_s=0.0015,
    lag_max_s=0.004,
    offered=100,
    requests=100,
    response_p50_s=0.1,
    response_p99_s=0.4,
)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, ""),
        ({"cpu_share": 0.9}, ""),
        ({"cpu_share": 0.95}, "the generator used 95% of its core"),
        ({"dropped": 3}, ""),
        ({"lag_p99_s": 0.039}, ""),
        ({"lag_p99_s": 0.041}, "1 % of the generator's lags were 41.0 ms or more; 40.0 ms are allowed"),
        (
            {"lag_p50_s": 0.011, "lag_p99_s": 0.012},
            "half of the generator's lags were 11.0 ms or more; 10.0 ms are allowed",
        ),
        ({"lag_p99_s": 0.002, "response_p99_s": 0.001}, ""),
        (
            {"lag_p99_s": 0.003, "response_p99_s": 0.001},
            "1 % of the generator's lags were 3.0 ms or more; 2.0 ms are allowed",
        ),
        (
            {"lag_p99_s": 0.003, "response_p99_s": None},
            "1 % of the generator's lags were 3.0 ms or more; 2.0 ms are allowed",
        ),
        ({"lag_p99_s": 1.0, "offered": 0, "requests": 0}, ""),
        (
            {"lag_p99_s": 0.041, "offered": 0},
            "1 % of the generator's lags were 41.0 ms or more; 40.0 ms are allowed",
        ),
    ],
)
def test_rule(change: dict[str, float | None], why: str) -> None:
    """More than 90 % of a core, or a lag above both 2 ms and a tenth of the response time."""
    assert bottleneck(GOOD.model_copy(update=change)) == why


def test_windows_of_a_killed_run_are_readable(tmp_path: Path) -> None:
    """Windows are in order of time; a truncated line is left out; without a file there are none."""
    assert windows(tmp_path) == []
    (tmp_path / "watch").mkdir()
    lines = [GOOD.model_copy(update={"t_ns": t_ns}).model_dump_json() for t_ns in (2, 1)]
    (tmp_path / "watch" / "generator.jsonl").write_text("\n".join([*lines, lines[0][:50]]))
    assert [window.t_ns for window in windows(tmp_path)] == [1, 2]
