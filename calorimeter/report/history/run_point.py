"""One run as its history uses it: a few figures, its verdicts and its facts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from calorimeter.core import files, verdict
from calorimeter.core.errors import InputError, shortened
from calorimeter.core.recorded import recorded_json
from calorimeter.core.recorded.recorded_json import Amount, Count, Time
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.toml import Model
from calorimeter.core.verdict import Outcome
from calorimeter.report import run_integrity
from calorimeter.report.circumstances import plain, table
from calorimeter.report.history import measured_figures, run_facts

MOST_GATES = 500
LONGEST = 100
"""Characters of a name that is shown."""


@dataclass(frozen=True, slots=True)
class HistoryMeasure:
    """A figure of a run: its name in sentences, and in a narrow table.

    `gated` is whether gate T4 judges its changes.
    """

    key: str
    title: str
    short: str
    lower_is_better: bool
    gated: bool = False


MEASURES = (
    HistoryMeasure(
        "throughput", "answered as expected per second", "ok / s", lower_is_better=False, gated=True
    ),
    HistoryMeasure("p50", "response time p50", "p50", lower_is_better=True),
    HistoryMeasure("p99", "response time p99", "p99", lower_is_better=True, gated=True),
    HistoryMeasure("error_ratio", "not as expected", "not ok", lower_is_better=True, gated=True),
    HistoryMeasure("capacity", "capacity", "capacity", lower_is_better=False),
)
"""What a history shows, in this order. The first four are of the measured part of a run, as on its page."""

Text = Annotated[str, Field(max_length=4 * LONGEST)]


class RunPoint(Model):
    """A run. `figures` has those of `MEASURES` that are known, of `requests` requests.

    `load` says what was asked for (`12 users`, `20/s`), empty without samples; `unit` is the capacity's.
    `series` and `side` are those of an interleaved series. `verdicts` has the outcome of each gate.
    """

    started_ns: Time
    deployment: Text
    scenario: Text
    load: Text = ""
    unit: Text = ""
    series: Text = ""
    side: Text = ""
    requests: Count = 0
    figures: dict[str, Amount] = {}
    verdicts: dict[str, Outcome] = {}
    facts: dict[str, str] = {}


class SearchedCapacity(Model):
    """What a history uses of a capacity.json; `capacity` is None if no level was held."""

    model_config = ConfigDict(extra="ignore")

    scenario: str = ""
    unit: str
    capacity: Amount | None


def read(folder: Path) -> RunPoint:
    """The point of a run folder. Raises `InputError` if it is damaged, not complete, or holds nothing."""
    run = RunDir.open(folder)
    about = run.about
    if why := run_integrity.why_not(about):
        raise InputError(str(folder), why)
    deployment = run.deployment() if (folder / "deployment.toml").exists() else None
    figures, requests = measured_figures.of(run, about)
    capacity = _capacity(folder)
    if capacity is not None and capacity.capacity is not None:
        figures["capacity"] = capacity.capacity
    outcomes = _outcomes(folder)
    if not figures and not outcomes:
        raise InputError(str(folder), "holds no load, no verdict and no capacity")
    names = {
        "deployment": about["deployment"],
        "scenario": about.get("scenario") or (capacity.scenario if capacity else ""),
        "load": _load(about) if requests else "",
        "unit": capacity.unit if capacity else "",
        "series": about.get("series") or "",
        "side": about.get("side") or "",
    }
    tree = {
        **{name: shortened(str(value), LONGEST) for name, value in names.items()},
        "started_ns": _started_ns(folder, about["started"]),
        "requests": requests,
        "figures": figures,
        "verdicts": outcomes,
        "facts": run_facts.of(run, about, deployment),
    }
    return recorded_json.validated(tree, RunPoint, str(folder))


def _outcomes(folder: Path) -> dict[str, str]:
    """The outcome of each gate; empty without verdicts."""
    file = folder / "verdicts.json"
    judged = verdict.read(file).verdicts if file.exists() else ()
    if len(judged) > MOST_GATES:
        raise InputError(str(file), f"holds {len(judged):,} verdicts", f"valid: {MOST_GATES} or fewer")
    return {each.gate: each.judgement.outcome.value for each in judged}


def _capacity(folder: Path) -> SearchedCapacity | None:
    try:
        return recorded_json.record(folder / "capacity.json", SearchedCapacity, within=folder)
    except files.MissingFileError:
        return None


def _started_ns(folder: Path, text: str) -> int:
    try:
        found = datetime.fromisoformat(text)
        moment = found if found.tzinfo else found.replace(tzinfo=UTC)
        seconds = int(moment.timestamp())
    except (ValueError, OverflowError) as problem:
        raise InputError(f"{folder / 'run.json'}", f"started is {text!r:.40}", "valid: a time") from problem
    if not 0 <= seconds * 10**9 <= recorded_json.LATEST_NS:
        raise InputError(f"{folder / 'run.json'}", f"started is {text!r:.40}", "valid: 1970 to 2100")
    return seconds * 10**9


def _load(about: Mapping[str, Any]) -> str:
    """What was asked for: runs of another load are another line."""
    load = table(about.get("load"))
    stages = load.get("stages")
    levels = [table(each) for each in stages] if isinstance(stages, list) else []
    if not levels:
        return f"{_amount(load.get('users') or about.get('users'))} users"
    shown = [_amount(each.get("rate_per_s", each.get("users"))) for each in levels]
    unit = "/s" if "rate_per_s" in levels[0] else " users"
    if len(levels) == 1:
        return f"{shown[0]}{unit}"
    digest = hashlib.sha256(json.dumps(levels, sort_keys=True).encode()).hexdigest()[:6]
    return shortened(f"{len(levels)} stages, {shown[0]} to {shown[-1]}{unit}, {digest}", LONGEST)


def _amount(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else plain(value)[:20]
