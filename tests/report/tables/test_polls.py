"""Tables of polls, of the ledger and of evidence."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from calorimeter.report import figure_list, page_content, page_text
from calorimeter.report.figures.style import Marks
from calorimeter.report.tables import gate_evidence, polls, watch_files
from calorimeter.report.time_axis import TimeAxis


@pytest.fixture
def minute(polls_of: Any) -> TimeAxis:
    """Sixty bins of a second."""
    return TimeAxis(polls_of.start_ns, 1, 60)


@pytest.fixture
def polls_of(polls: Any) -> Any:
    """The makers of polls, under a name that is not the module's."""
    return polls


def test_processors_used_between_polls(builder: Any, polls_of: Any, minute: TimeAxis) -> None:
    """Processor seconds become processors used; memory stays bytes."""
    found = watch_files.read(builder.watch("processes", polls_of.processes()).run)
    table = polls.processes(found.processes, minute)
    used = table.groupby("part")["cpus"].agg(["min", "max"])
    assert used.loc["rest-1"].tolist() == pytest.approx([0.25, 0.25])
    assert used.loc["engine-1"].tolist() == pytest.approx([0.5, 0.5])


def test_a_part_that_began_anew_counts_from_zero(builder: Any, polls_of: Any, minute: TimeAxis) -> None:
    """A process that was started again has its own seconds, not a negative use."""
    every = polls_of.processes(4)
    for poll in every[3:]:
        poll["processes"][0]["cpu_s"] = 0.1
    table = polls.processes(watch_files.read(builder.watch("processes", every).run).processes, minute)
    assert table[table["part"] == "rest-1"]["cpus"].tolist() == pytest.approx([0.25, 0.25, 0.1, 0.0])


def test_stacks_in_progress(polls_of: Any, minute: TimeAxis) -> None:
    """A stack is in progress from when it was accepted until it was seen final, if it ever was."""
    second = 1_000_000_000
    ledger = pd.DataFrame(
        {
            "accepted_ns": [polls_of.start_ns, polls_of.start_ns + 2 * second],
            "final_ns": [polls_of.start_ns + 3 * second, 0],
        }
    )
    assert polls.stacks(ledger, minute)["in_progress"].tolist()[:5] == [1, 2, 1, 1, 1]


def test_outages_are_what_the_proxy_showed(builder: Any, polls_of: Any, minute: TimeAxis) -> None:
    """A server that the proxy showed DOWN from poll 10 to 14 was out until poll 15."""
    every = polls_of.proxy(30)
    for poll in every[10:15]:
        poll["servers"][1]["status"] = "DOWN"
    found = polls.outages(watch_files.read(builder.watch("proxy", every).run).servers, minute)
    assert found.to_dict("records") == [{"name": "rest-1", "from_s": 10.0, "to_s": 15.0}]


def test_what_one_of_two_proxies_showed_is_its_own(builder: Any, polls_of: Any, minute: TimeAxis) -> None:
    """A server that one proxy has DOWN and the other UP is out once, and its connections are two lines."""
    other = [{**poll, "proxy": "standby"} for poll in polls_of.proxy(30)]
    down = polls_of.proxy(30)
    for poll in down[10:15]:
        poll["servers"][1]["status"] = "DOWN"
    both = [poll for pair in zip(down, other, strict=True) for poll in pair]
    servers = watch_files.read(builder.watch("proxy", both).run).servers
    found = polls.outages(servers, minute)
    assert found.to_dict("records") == [{"name": "rest-1", "from_s": 10.0, "to_s": 15.0}]
    names = set(polls.sessions(servers, minute)["name"])
    assert {"rest-1 @ proxy", "rest-1 @ standby"} < names


def test_polls_from_before_and_after_the_load_are_left_out(
    builder: Any, polls_of: Any, minute: TimeAxis
) -> None:
    """A queue is shown for the time of the load only."""
    every = polls_of.broker(60)
    for poll in every:
        poll["t_ns"] -= 10_000_000_000
    table = polls.queues(watch_files.read(builder.watch("broker", every).run).queues, minute)
    assert set(table["name"]) == {"engine", "engine_worker"}
    assert table["t_s"].min() == 0
    assert table["t_s"].max() == 50


def test_a_trial_as_spans(builder: Any, polls_of: Any) -> None:
    """What was broken, when the proxy had it out, and which request failed, in s since the trial began."""
    builder.evidence("H2", {"trials": [polls_of.trial()]})
    (found,) = gate_evidence.trials(builder.path / "evidence")
    assert (found.file, found.fault, found.lanes) == ("H2", "kill", ("rest-1", "REST clients"))
    assert found.spans.to_numpy().tolist() == [
        ["rest-1", "fault", 2.0, 8.0],
        ["rest-1", "out", 4.0, 9.0],
        ["REST clients", "failed", 3.0, 3.5],
    ]


def test_detection_and_recovery_of_a_trial(builder: Any, polls_of: Any) -> None:
    """From the fault until the server was out, and from its healing until it was back."""
    builder.evidence("H2", {"trials": [polls_of.trial()]})
    (found,) = gate_evidence.trials(builder.path / "evidence")
    assert found.detections.to_numpy().tolist() == [["rest-1", 2.0, 8.0, 2.0, 1.0]]


def test_what_was_not_seen_has_no_figure(builder: Any, polls_of: Any) -> None:
    """A server that the proxy never showed down was not detected; one still down has not recovered."""
    tree = polls_of.trial()
    builder.evidence("H2", {"trials": [tree | {"changes": []}, tree | {"changes": tree["changes"][:2]}]})
    blind, still = gate_evidence.trials(builder.path / "evidence")
    assert blind.detections[["detection_s", "recovery_s"]].isna().all(axis=None)
    assert still.detections["detection_s"].tolist() == [2.0]
    assert still.detections["recovery_s"].isna().all()


def test_faults_of_a_load(builder: Any, polls_of: Any) -> None:
    """What `run --fault` broke, in s since the load began: from when it took effect until it was healed."""
    at = polls_of.start_ns + 5_000_000_000
    fault = {"part": "rest-1", "fault": "kill", "at_s": 5.0, "for_s": 20.0}
    carried = {
        "fault": fault,
        "began_ns": at,
        "ended_ns": at,
        "at_ns": None,
        "healed_ns": at + 20_000_000_000,
    }
    builder.evidence("faults", {"faults": [carried]})
    found = gate_evidence.injected(builder.path / "evidence", polls_of.start_ns)
    assert found.to_numpy().tolist() == [["rest-1", "kill", 5.0, 25.0]]


def test_how_busy_the_generator_was(builder: Any, polls_of: Any, minute: TimeAxis) -> None:
    """Each poll of each generating process is a row, on the time of the load."""
    each_second = [
        {
            "t_ns": polls_of.start_ns + n * 1_000_000_000,
            "worker": "worker-00",
            "cpu_share": 0.5,
            "lag_p99_s": 0.002,
            "connections": 4,
            "users": 20,
        }
        for n in range(3)
    ]
    table = polls.workers(watch_files.read(builder.watch("generator", each_second).run).workers, minute)
    assert table.to_numpy().tolist() == [[float(n), "worker-00", 0.5, 0.002, 4, 20] for n in range(3)]


def test_the_mapping_counts_visits(builder: Any) -> None:
    """Each source's visits are counted by the backend that served them; unserved ones are left out."""
    visits = [("127.0.0.1", "a"), ("127.0.0.1", "a"), ("127.0.0.2", "b"), ("127.0.0.3", None)]
    tree = {"api": "rest", "visits": [{"source": source, "server": server} for source, server in visits]}
    builder.evidence("visits-rest", tree)
    assert gate_evidence.mapping(builder.path / "evidence").to_numpy().tolist() == [
        ["rest", "127.0.0.1", "a", 2],
        ["rest", "127.0.0.2", "b", 1],
    ]


def test_the_rotation_names_engines(builder: Any) -> None:
    """Deliveries are named by the engine whose consumer took them."""
    consumers = [{"id": "c1", "name": "engine-1"}, {"id": "c2", "name": "engine-2"}]
    builder.evidence("E2", {"before": consumers, "deliveries": [{"consumer": "c2"}, {"consumer": "c1"}]})
    assert gate_evidence.rotation(builder.path / "evidence").to_numpy().tolist() == [
        [1, "engine-2"],
        [2, "engine-1"],
    ]


@pytest.mark.parametrize("tree", [{}, [], {"trials": [{"injected": [1]}]}, {"visits": [1]}, {"before": 3}])
def test_evidence_of_another_shape_is_not_drawn(builder: Any, tree: Any) -> None:
    """Evidence that another version wrote leaves the page without that figure, and does not break it."""
    for name in ("H2", "E2", "visits"):
        builder.evidence(name, tree)
    folder = builder.path / "evidence"
    assert gate_evidence.trials(folder) == []
    assert gate_evidence.mapping(folder).empty
    assert gate_evidence.rotation(folder).empty


def _seconds(polls_of: Any) -> list[dict[str, Any]]:
    """A window a second of each of two workers; those up to 3, 4 and 9 s of the first are invalid."""
    why = "the generator used 95% of its core"
    return [
        {
            "t_ns": polls_of.start_ns + int((second + late) * 1e9),
            "length_s": 1.0,
            "worker": worker,
            "cpu_share": 0.5,
            "why_invalid": why if worker == "worker-00" and second in (3, 4, 9) else "",
        }
        for second in range(1, 11)
        for worker, late in (("worker-00", 0.0), ("worker-01", 0.01))
    ]


def test_invalid_seconds_are_joined_to_spans(builder: Any, polls_of: Any, minute: TimeAxis) -> None:
    """A mark holds for the window before it; adjacent windows are one span, regardless of worker."""
    found = watch_files.read(builder.watch("generator", _seconds(polls_of)).run)
    table = polls.invalid(found.workers, minute)
    assert table["worker"].tolist() == ["worker-00"] * 3
    assert table["why"].unique().tolist() == ["the generator used 95% of its core"]
    assert table[["from_s", "to_s"]].to_numpy().tolist() == [[2, 3], [3, 4], [8, 9]]
    other = pd.DataFrame({"from_s": [2.5, 8.2], "to_s": [3.5, 10.0]})
    together = polls.union(pd.concat([table, other]))
    assert together.to_numpy().tolist() == [[2, 4], [8, 10]]


def test_without_marks_nothing_is_invalid(builder: Any, polls_of: Any, minute: TimeAxis) -> None:
    """Windows without the mark, as of another version, and no windows at all."""
    each_second = [second | {"why_invalid": ""} for second in _seconds(polls_of)]
    del each_second[0]["why_invalid"], each_second[0]["length_s"]
    for found in (
        watch_files.read(builder.run),
        watch_files.read(builder.watch("generator", each_second).run),
    ):
        assert polls.union(polls.invalid(found.workers, minute)).empty


def test_invalid_seconds_are_marked_and_kept(builder: Any, polls_of: Any) -> None:
    """Every figure over time has them, and the limits say how many of how many and what became of them."""
    builder.samples(seconds=30)
    assert page_text.limits(page_content.collect(builder.run)) == [
        "One run on one machine: intervals are within this run only."
    ]
    builder.watch("generator", _seconds(polls_of))
    found = page_content.collect(builder.run)
    begin_s = (polls_of.start_ns - found.load.axis.start_ns) / 1e9 if found.load else 0.0
    marks = [
        next(each for each in plate.plot.args if isinstance(each, Marks))  # type: ignore[attr-defined]
        for plate in figure_list.of(found)
        if plate.name in ("throughput", "latency-over-time", "latency-heat-map", "generator")
    ]
    assert len(marks) == 4
    for mark in marks:
        spans = (mark.invalid - begin_s).to_numpy()
        assert spans.tolist() == [pytest.approx([2, 4]), pytest.approx([8, 9])]
    message = page_text.limits(found)[0]
    assert message.startswith("In 3 of 20 seconds of its processes the generator itself was the bottleneck")
    assert "are in all tables" in message


def test_invalid_seconds_without_their_watch_are_counted(builder: Any) -> None:
    """If only run.json counts them, the limits say that the seconds are not known."""
    builder.about(workers=[{"worker": "worker-00", "windows": 17, "invalid_windows": 2}]).samples(
        seconds=30
    )
    message = page_text.limits(page_content.collect(builder.run))[0]
    assert message.startswith("In 2 of 17 seconds")
    assert "which seconds is not known" in message
