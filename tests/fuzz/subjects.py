"""What is fuzzed, by name."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis.strategies import SearchStrategy

from tests.fuzz import (
    command_lines,
    deployment_files,
    evidence_texts,
    haproxy_texts,
    heat_texts,
    recorded_folders,
    scenario_files,
)
from tests.fuzz.case import Case

SUBJECTS: dict[str, Callable[[], SearchStrategy[Case]]] = {
    "deployment": deployment_files.cases,
    "scenario": scenario_files.cases,
    "haproxy": haproxy_texts.cases,
    "heat_conf": heat_texts.cases,
    "log_lines": evidence_texts.log_lines,
    "rpc_messages": evidence_texts.rpc_messages,
    "stats": evidence_texts.stats,
    "run_folders": recorded_folders.cases,
    "command_lines": command_lines.cases,
}
"""Name → strategy of its cases."""
