"""The content of a page, as tables and sentences, from one run folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from calorimeter.core import files, statistics, verdict
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.recorded import gate_times, latency_budget, sample_stream, stack_tables
from calorimeter.core.recorded.gate_times import GateTimes
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.shown_text import one_line
from calorimeter.core.verdict import Verdicts
from calorimeter.report import capacity_result, load_tables
from calorimeter.report.capacity_result import CapacityResult
from calorimeter.report.data_files import DataFile, data_files
from calorimeter.report.load_tables import LoadTables
from calorimeter.report.tables import (
    expected_shares,
    gate_evidence,
    polls,
    shares,
    upgrade_steps,
    watch_files,
)
from calorimeter.report.tables.gate_steps import gate_steps
from calorimeter.report.tables.growth_slopes import growth_slopes
from calorimeter.report.tables.request_budget import BudgetTables, budget_tables
from calorimeter.report.tables.stack_durations import stack_durations
from calorimeter.report.tables.upgrade_steps import UpgradeTables
from calorimeter.report.tables.watch_files import WatchTables
from calorimeter.report.time_axis import TimeAxis

T = TypeVar("T")

LARGEST_TEXT = 2**20
"""Bytes of a scenario or of a proxy's configuration."""

MOST_LATE_S = 2.0
"""A watch that begins later than this after the first request is listed as a gap."""


@dataclass(frozen=True, slots=True)
class SharesTable:
    """A table of shares (see `tables.shares`), and the source of its data as a sentence."""

    table: pd.DataFrame
    source: str
    under_load: bool


@dataclass(frozen=True, slots=True)
class PollTables:
    """Tables of `tables.polls`, empty if nothing was polled."""

    queues: pd.DataFrame
    stacks: pd.DataFrame
    sessions: pd.DataFrame
    outages: pd.DataFrame
    processes: pd.DataFrame
    workers: pd.DataFrame
    invalid: pd.DataFrame


@dataclass(frozen=True, slots=True)
class GateEvidence:
    """Tables of `tables.gate_evidence`: the evidence of gates, and the faults injected during the load."""

    mapping: pd.DataFrame
    rotation: pd.DataFrame
    trials: tuple[gate_evidence.FaultTrialRow, ...]
    injected: pd.DataFrame


@dataclass(frozen=True, slots=True)
class PageContent:
    """The content of the page of one run.

    `endings`, `growth` and `gate_steps` are tables of `tables`, `gaps` are sentences about what is missing.
    """

    about: dict[str, Any]
    scenario: str | None
    proxies: dict[str, str]
    deployment: Deployment | None
    verdicts: Verdicts
    load: LoadTables | None
    endings: pd.DataFrame
    capacity: CapacityResult | None
    polled: PollTables | None
    evidence: GateEvidence
    backends: SharesTable | None
    engines: SharesTable | None
    growth: pd.DataFrame
    gate_steps: pd.DataFrame
    upgrade: UpgradeTables | None
    budget: BudgetTables | None
    files: tuple[DataFile, ...]
    gaps: tuple[str, ...]


def collect(run: RunDir) -> PageContent:
    """Read a run folder and make its tables; raises `InputError` if it is damaged or holds nothing."""
    gaps: list[str] = []
    verdicts = _verdicts(run, gaps)
    deployment = _deployment(run, gaps)
    samples = sample_stream.stream(run)
    loaded = None if samples is None else load_tables.read(samples, run.about)
    watched = watch_files.read(run)
    if loaded is None:
        gaps.append("No samples were recorded: this page has no load figures.")
    else:
        gaps.extend(watched.gaps)
        gaps.extend(_late(watched, loaded.axis))
        gaps.extend(_limits_of(loaded))
    if loaded is None and not verdicts.verdicts:
        raise InputError(
            str(run.path), "holds neither samples nor verdicts", "valid: what `run` or `verify` wrote"
        )
    ledger = _or_gap(gaps, stack_tables.ledger, run) if loaded else None
    actions = _or_gap(gaps, stack_tables.actions, run) if loaded else None
    scenario = _or_gap(gaps, _text, run, run.path / "scenario.toml")
    configurations = _or_gap(gaps, run.named, "proxy", "*.cfg") or []
    proxies = {path.name: _or_gap(gaps, _text, run, path) for path in configurations}
    gaps.extend(gate_evidence.gaps(run.path / "evidence"))
    budget = _budget(run, loaded, gaps)
    polled = _polled(watched, ledger, loaded.axis) if loaded else None
    growth = _or_gap(gaps, growth_slopes, run)
    return PageContent(
        about=run.about,
        scenario=scenario,
        proxies={one_line(name): text for name, text in proxies.items() if text is not None},
        deployment=deployment,
        verdicts=verdicts,
        load=loaded,
        endings=stack_durations(ledger, actions, loaded.measured) if loaded else pd.DataFrame(),
        capacity=capacity_result.read(run.path),
        polled=polled,
        evidence=_gate_evidence(run.path / "evidence", loaded, polled),
        backends=_backends(watched, verdicts, deployment, loaded),
        engines=_engines(watched, verdicts),
        growth=pd.DataFrame() if growth is None else growth,
        gate_steps=gate_steps(_or_gap(gaps, gate_times.read, run.path) or GateTimes()),
        upgrade=_or_gap(gaps, upgrade_steps.of_run, run, loaded.axis) if loaded else None,
        budget=budget,
        files=data_files(run.path),
        gaps=tuple(gaps),
    )


def _verdicts(run: RunDir, gaps: list[str]) -> Verdicts:
    path = run.path / "verdicts.json"
    if path.exists():
        return verdict.read(path)
    gaps.append("No gates were run: nothing on this page is a verdict.")
    return Verdicts()


def _deployment(run: RunDir, gaps: list[str]) -> Deployment | None:
    if (run.path / "deployment.toml").exists():
        return run.deployment()
    gaps.append("deployment.toml is missing in the run folder: the topology is not known.")
    return None


def _or_gap(gaps: list[str], read: Callable[..., T], *given: Any) -> T | None:
    """What a reader returns; None and a gap if the file cannot be used: the rest is shown without it."""
    try:
        return read(*given)
    except InputError as problem:
        run = next((each.path for each in given if isinstance(each, RunDir)), None)
        where = problem.where.removeprefix(f"{run}/")
        gaps.append(f"{one_line(where)} was left out: it {problem.given}.")
        return None


def _budget(run: RunDir, loaded: LoadTables | None, gaps: list[str]) -> BudgetTables | None:
    found = _or_gap(gaps, latency_budget.read, run) if loaded else None
    if found is None or loaded is None:
        return None
    gaps.extend(f"Latency budget: {one_line(doubt)}." for doubt in found.doubts)
    return budget_tables(found)


def _text(run: RunDir, path: Path) -> str | None:
    try:
        return files.read_text(path, errors="replace", limit=LARGEST_TEXT, within=run.path)
    except files.MissingFileError:
        return None


def _late(watched: WatchTables, time: TimeAxis) -> list[str]:
    """Files of the watch that begin late."""
    tables = {"proxy": watched.servers, "broker": watched.queues, "processes": watched.processes}
    firsts = {
        name: (int(table["t_ns"].min()) - time.start_ns) / 1e9
        for name, table in tables.items()
        if len(table)
    }
    return [
        f"watch/{name}.jsonl begins {late_s:.1f} s after the first request: earlier polls are missing."
        for name, late_s in firsts.items()
        if late_s > MOST_LATE_S
    ]


def _limits_of(loaded: LoadTables) -> list[str]:
    limits = []
    table = loaded.operations
    few = [
        str(name)
        for name in table.loc[table["ok"] < statistics.samples_needed(99), "operation"]
        if name != "all"
    ]
    if few:
        limits.append(
            f"Too few successes for a 99th percentile ({statistics.samples_needed(99):,} are needed): "
            f"{', '.join(few)}."
        )
    if loaded.all_measured:
        limits.append("No request was due in the measured part: all figures cover the whole run.")
    if not loaded.steadiness.found:
        limits.append(f"{loaded.steadiness.why} Tables cover the whole measured part.")
    elif settling_s := (loaded.steadiness.steady_part.first_ns - loaded.measured.first_ns) / 1e9:
        limits.append(
            f"The first {settling_s:.0f} s of the measured part are not yet steady, and are in all tables "
            "and in gate T1: a longer warm_up_s in the scenario excludes them."
        )
    late = loaded.generator["lag_max"].max()
    if late > 0.05:
        limits.append(
            f"The generator sent requests up to {late:.2f} s late: response times include that wait, "
            "service times do not."
        )
    unsent = int(table.loc[table["operation"] != "all", "dropped"].sum())
    if unsent:
        limits.append(f"{unsent:,} requests were due but never sent, because too many were in flight.")
    return limits


def _polled(watched: WatchTables, ledger: pd.DataFrame | None, time: TimeAxis) -> PollTables:
    return PollTables(
        queues=polls.queues(watched.queues, time),
        stacks=pd.DataFrame() if ledger is None else polls.stacks(ledger, time),
        sessions=polls.sessions(watched.servers, time),
        outages=polls.outages(watched.servers, time),
        processes=polls.processes(watched.processes, time),
        workers=polls.workers(watched.workers, time),
        invalid=polls.invalid(watched.workers, time),
    )


def _gate_evidence(folder: Path, loaded: LoadTables | None, polled: PollTables | None) -> GateEvidence:
    trials = gate_evidence.trials(folder)
    injected = gate_evidence.injected(folder, loaded.axis.start_ns if loaded else 0)
    if loaded is not None and polled is not None and len(injected):
        trials = [_trial_of_load(injected, loaded, polled), *trials]
    return GateEvidence(
        gate_evidence.mapping(folder), gate_evidence.rotation(folder), tuple(trials), injected
    )


def _trial_of_load(
    injected: pd.DataFrame, loaded: LoadTables, polled: PollTables
) -> gate_evidence.FaultTrialRow:
    """The faults injected during the load, as one trial: its clients are those of the load."""
    length_s = float(loaded.axis.bins * loaded.axis.bin_s)
    bad = loaded.rates[loaded.rates["errors"] > 0]
    spans = pd.concat(
        [
            injected.assign(kind="fault")[["lane", "kind", "from_s", "to_s"]],
            polled.outages.rename(columns={"name": "lane"}).assign(kind="out"),
            pd.DataFrame(
                {
                    "lane": "clients",
                    "kind": "failed",
                    "from_s": bad["t_s"] - loaded.axis.bin_s / 2,
                    "to_s": bad["t_s"] + loaded.axis.bin_s / 2,
                }
            ),
        ],
        ignore_index=True,
    )[["lane", "kind", "from_s", "to_s"]]
    spans[["from_s", "to_s"]] = spans[["from_s", "to_s"]].clip(0, length_s)
    lanes = sorted(set(spans["lane"]) - {"clients"})
    kinds = ", ".join(sorted({str(fault) for fault in injected["fault"]}))
    return gate_evidence.FaultTrialRow("load", kinds, (*lanes, "clients"), spans, length_s)


def _backends(
    watched: WatchTables, verdicts: Verdicts, deployment: Deployment | None, loaded: LoadTables | None
) -> SharesTable | None:
    table = shares.backends_watched(watched.servers)
    if len(table):
        if loaded is not None:
            predicted = expected_shares.bands(loaded.connections, watched.servers, deployment)
            table = table.merge(predicted, on=["group", "name"], how="left")
        return SharesTable(
            table, "Connections to each server, as the proxy counted them during the run.", True
        )
    table = shares.backends_judged(verdicts, deployment)
    if len(table):
        source = "Source addresses on each server, as gate S1 found them (not under load)."
        return SharesTable(table, source, False)
    return None


def _engines(watched: WatchTables, verdicts: Verdicts) -> SharesTable | None:
    table = shares.engines_watched(watched.channels)
    if len(table):
        source = "Messages delivered to each engine process, as the broker counted them during the run."
        return SharesTable(table, source, True)
    table = shares.engines_judged(verdicts)
    if len(table):
        return SharesTable(table, "Calls to each engine, as gate E2 counted them (not under load).", False)
    return None
