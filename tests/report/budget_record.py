"""A latency budget as a run keeps it, for pages."""

from __future__ import annotations

from typing import Any

from tests.report.run_builder import START_NS


def cohort(name: str, mean_s: float, **more: Any) -> dict[str, Any]:
    """A cohort whose time is in the API and two engines."""
    return {
        "name": name, "n": 4, "from_s": mean_s * 0.9, "to_s": mean_s * 1.1, "mean_s": mean_s,
        "segments": {"generator": 0.001, "api_before": 0.009, "engine": mean_s - 0.01},
        "engines": {"engine-1": mean_s / 4, "engine-2": mean_s - 0.01 - mean_s / 4},
    } | more  # fmt: skip


def record(**more: Any) -> dict[str, Any]:
    """The whole record."""
    second = 1_000_000_000
    more_of_stacks = {"messages": 3, "hops": 2.5, "waits": 0.4, "engines": {}}
    stack = cohort("p50", 1.0, segments={"start": 0.2, "broker": 0.1, "end": 0.7}, **more_of_stacks)
    return {
        "schema_version": 1,
        "start_ns": START_NS,
        "windows": [
            {"from_ns": START_NS + at * second, "to_ns": START_NS + (at + 2) * second,
             "off_ns": START_NS + (at + 3) * second}
            for at in (10, 20)
        ],
        "seen": {
            "due": 1000, "traced": 100, "unfinished": 2, "failed": 1, "answered": 98, "followed": 97,
            "added_up": 96, "missing": {"a publish is missing": 1}, "stacks_due": 30, "stacks": 20,
        },
        "operations": [
            {"operation": "rest create", "n": 7, "cohorts": []},
            {"operation": "rest list", "n": 89, "cohorts": [cohort("p50", 0.1), cohort("p95", 0.5)]},
        ],
        "stacks": [
            {"operation": "rest create", "n": 20, "cohorts": [stack]},
        ],
        "slowest": [
            {
                "operation": "rest list", "request_id": "req-7", "due_ns": START_NS + 12 * second,
                "took_s": 0.6, "adds_up": False,
                "steps": [
                    {"segment": "generator", "who": "", "what": "", "took_s": 0.0},
                    {"segment": "api_before", "who": "heat-api[10]@h", "what": "", "took_s": 0.1},
                    {"segment": "engine", "who": "engine-1", "what": "list_stacks", "took_s": 0.5},
                ],
            }
        ],
        "doubts": ["window 3 of 3 was not taken: the load had ended"],
        **more,
    }  # fmt: skip
