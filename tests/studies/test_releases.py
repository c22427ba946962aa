"""Releases side by side: figures from rounds, differences from figures, rounds that are resumed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from calorimeter.commands.releases import releases
from calorimeter.core.errors import InputError
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.verdict import Outcome
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.evidence.rpc_message import Delivery
from calorimeter.studies import published
from calorimeter.studies.releases import (
    engines_of_actions,
    release_differences,
    release_page,
    release_rounds,
    release_sides,
    release_study,
)
from calorimeter.studies.releases.release_lab import measured_load, memory_of
from calorimeter.studies.releases.release_rounds import PartMemory, ReleaseRound
from calorimeter.studies.releases.release_sides import ReleaseSide
from calorimeter.studies.scale_result import MACHINE
from calorimeter.studies.upgrade.upgrade_trace import VhostMessages
from calorimeter.workload import catalogue
from tests.places import CLONE
from tests.studies.release_literals import NEW, OLD, a_round, asked, result
from tests.studies.results import WHERE

# Figures of a round


def _figures(found: ReleaseRound) -> dict[str, float]:
    return {measured.label: value for measured, value in release_differences.figures(found)}


def test_processor_time_is_divided_by_what_was_done() -> None:
    """Seconds of a part by requests; memcached only in the sum, the machine in none."""
    found = _figures(a_round("27", 1))
    assert found["Processor time per list: API, ms"] == pytest.approx(20.0)
    assert found["Processor time per list: engines, ms"] == pytest.approx(40.0)
    assert found["Processor time per list: all parts, ms"] == pytest.approx(70.0)
    assert found["Processor time without load: API, ms per s"] == pytest.approx(400.0)
    assert "Processor time per list: proxy, ms" not in found


def test_other_figures_of_a_round() -> None:
    """Throughput, percentiles, memory by part, start-up; engines unless the trace has a doubt."""
    found = _figures(a_round("27", 1))
    assert found["Throughput of 4 users: list, per s"] == pytest.approx(10.0)
    assert found["Response time at equal load: all p99, ms"] == 90.0
    assert found["Memory, idle: one engine, MiB"] == pytest.approx(150.0)
    assert found["Start until it serves: API, s"] == 2.0
    assert found["Engines that take part in one action: check, of 3"] == 1.0
    assert "Engines that take part in one action: suspend, of 3" not in found


def test_times_of_a_late_generator_are_left_out() -> None:
    """They may be the generator's; what the load cost is not."""
    found = _figures(a_round("27", 1, late=True))
    assert not any(name.startswith(("Response", "Throughput")) for name in found)
    assert found["Processor time per list: API, ms"] == pytest.approx(20.0)
    assert a_round("27", 1, late=True).spoilt == ("equal-load", "closed-list")


def test_a_load_without_success_has_no_cost_per_request() -> None:
    """Nothing is divided by zero."""
    found = a_round("27", 1)
    none = found.model_copy(update={"loads": tuple(x.model_copy(update={"done": 0}) for x in found.loads)})
    assert not any(name.startswith("Processor time per") for name in _figures(none))


def test_parts_that_used_more_than_the_machine_are_left_out() -> None:
    """Such a count has been: each process was counted again when the clock was stepped."""
    found = a_round("27", 1)
    (first, *more) = found.loads
    used = tuple(
        each.model_copy(update={"cpu_s": 5.0}) if each.kind == MACHINE else each for each in first.used
    )
    figures = _figures(found.model_copy(update={"loads": (first.model_copy(update={"used": used}), *more)}))
    assert "Processor time per request: API, ms" not in figures
    assert "Processor time per list: API, ms" in figures


def test_memory_is_of_one_part() -> None:
    """The mean of the parts of a kind; `engine-2` is an engine, `rabbitmq` has no number."""
    parts = [
        {"name": "engine-1", "memory_bytes": 100},
        {"name": "engine-2", "memory_bytes": 201},
        {"name": "rabbitmq", "memory_bytes": 7},
    ]
    assert memory_of(parts) == (
        PartMemory(kind="engine", parts=2, bytes=150),
        PartMemory(kind="rabbitmq", parts=1, bytes=7),
    )


# A recorded load


@pytest.mark.slow
def test_a_recorded_load_is_measured() -> None:
    """The published run of both APIs: its median of list is that of its page; a p99 needs 1,000 samples."""
    (folder,) = (CLONE / "reports/data/rest-and-cfn").iterdir()
    run = RunDir.open(folder)
    equal = measured_load(run, release_sides.EQUAL)
    assert (equal.window_s, equal.requests, equal.done, equal.failed) == (87.0, 1665, 1665, 0)
    assert equal.response_ms == {
        "all p50": 62.555564, "all p99": 563.814312, "list p50": 45.286971, "show p50": 28.845143,
        "create p50": 223.70745,
    }  # fmt: skip
    stacks = measured_load(run, release_sides.STACKS)
    assert (stacks.done, stacks.response_ms) == (75, {})
    assert {each.kind: each.cpu_s for each in stacks.used}["engine"] == 45.96
    assert equal.generator.outcome is Outcome.PASS


# Differences


def test_five_rounds_that_do_not_overlap_differ() -> None:
    """The smallest p of five against five is 2/252; the interval excludes 0."""
    found = result()
    rows = {
        row.measured.label: row for row in release_differences.rows(found.of(OLD.name), found.of(NEW.name))
    }
    row = rows["Processor time per list: all parts, ms"]
    assert row.found is not None
    assert row.found.p == pytest.approx(2 / 252)
    assert row.finding == "more"
    assert row.found.relative.low > 0.4
    assert rows["Start until it serves: API, s"].finding == "slower"
    assert rows["Throughput of 4 users: list, per s"].finding == "no detectable difference"
    assert rows["Engines that take part in one action: check, of 3"].finding == "more"


def test_one_round_that_overlaps_is_no_difference() -> None:
    """p is then 4/252: above one percent."""
    found = result()
    left, right = list(found.of(OLD.name)), list(found.of(NEW.name))
    left[0] = a_round(OLD.name, 1, 1.5005)  # above one of the right side
    rows = {row.measured.label: row for row in release_differences.rows(left, right)}
    row = rows["Start until it serves: API, s"]
    assert row.found is not None
    assert row.found.p > 0.01
    assert row.finding == "no detectable difference"


def test_four_rounds_are_too_few() -> None:
    """However large the difference is."""
    found = result(rounds=4, slow=9.0)
    for row in release_differences.rows(found.of(OLD.name), found.of(NEW.name)):
        assert row.finding == "too few rounds: 4 and 4"
        assert not row.detected


def test_pairs_are_neighbours_and_the_whole_way() -> None:
    """Of two sides that the study does not pair, these two."""
    every = result().model_copy(update={"asked": asked(5, release_sides.SIDES)})
    assert release_differences.pairs(every) == list(release_sides.PAIRS)
    two = result().model_copy(update={"asked": asked(5, (release_sides.SIDES[0], release_sides.SIDES[2]))})
    assert release_differences.pairs(two) == [("24-eventlet", "25")]


# Engines of an action


def _event(seq: int, connection: str, request_id: str, **more: object) -> Delivery:
    return Delivery.model_validate(
        {
            "seq": seq, "t_ns": seq, "kind": "deliver", "queue": "engine_worker", "exchange": "",
            "routing_keys": ("engine_worker",), "routed": (), "connection": connection, "channel": 1,
            "redelivered": False, "request_id": request_id, **more,
        }
    )  # fmt: skip


def test_engines_are_counted_by_host() -> None:
    """Two connections of one engine are one; replies, publishes and other requests are none."""
    call = HeatCall(operation="check", request_id="req-1", sent_ns=1, done_ns=2, status=201)
    events = (
        _event(1, "a", "req-1", queue="engine"),
        _event(2, "a2", "req-1"),
        _event(3, "b", "req-1"),
        _event(4, "c", "req-2"),
        _event(5, "c", "req-1", kind="publish", queue=""),
        _event(6, "c", "req-1", queue="reply_1"),
    )
    recorded = VhostMessages("/", events, {"a": "engine-1", "a2": "engine-1", "b": "engine-2"})
    (found,) = engines_of_actions.shares([("check", call, "CHECK_COMPLETE")], [recorded], [], 3)
    assert (found.engines, found.of, found.messages, found.doubt) == (2, 3, 3, "")


def test_a_call_without_an_id_has_no_engines() -> None:
    """Messages without a request id are not its own."""
    call = HeatCall(operation="check", request_id=None, sent_ns=1, done_ns=2, status=0)
    recorded = VhostMessages("/", (_event(1, "a", "req-1"),), {})
    (found,) = engines_of_actions.shares([("check", call, "0")], [recorded], ["tracing is off"], 3)
    assert (found.engines, found.messages, found.doubt) == (0, 0, "tracing is off")


# Rounds that are resumed


def _run(
    folder: Path, rounds: int, measured: list[str], *, within_s: float = 1e6, fail_at: int = 99
) -> None:
    begun = release_study.begun(folder, (OLD, NEW), rounds, 16.0)
    ticks: Iterator[float] = iter(range(0, 10**6, 250))

    def measure(side: ReleaseSide, turn: int) -> ReleaseRound:
        if len(measured) == fail_at:
            raise KeyboardInterrupt
        measured.append(f"{turn}-{side.name}")
        return a_round(side.name, turn)

    for _ in release_study.run(
        folder, begun, (OLD, NEW), measure, lambda line: None, within_s, clock=lambda: next(ticks)
    ):
        pass


def test_a_recorded_round_is_not_run_again(tmp_path: Path) -> None:
    """An interruption loses the round under way only; sides alternate."""
    measured: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        _run(tmp_path / "s", 2, measured, fail_at=3)
    assert measured == ["1-24-eventlet", "1-27", "2-24-eventlet"]
    assert len(release_rounds.read(tmp_path / "s").rounds) == 3
    _run(tmp_path / "s", 2, measured)
    assert measured[3:] == ["2-27"]
    assert release_rounds.read(tmp_path / "s").complete
    _run(tmp_path / "s", 3, measured)  # more rounds than before
    assert measured[4:] == ["3-24-eventlet", "3-27"]


def test_no_round_is_begun_that_would_not_end_in_time(tmp_path: Path) -> None:
    """With rounds of some 200 s and readings of the clock 250 s apart, 800 s hold two."""
    measured: list[str] = []
    _run(tmp_path / "s", 5, measured, within_s=800.0)
    assert len(measured) == 2


def test_a_spoilt_round_is_measured_again_if_asked_for() -> None:
    """Not by itself, which would never end on a busy machine."""
    found = result(rounds=1)
    late = found.model_copy(update={"rounds": (found.rounds[0], a_round(NEW.name, 1, late=True))})
    assert [each.recorded for each in release_study.plan((OLD, NEW), late)] == [True, True]
    assert [each.recorded for each in release_study.plan((OLD, NEW), late, again=True)] == [True, False]


def test_what_remains_is_said() -> None:
    """From the mean of the rounds that are recorded."""
    found = result(rounds=1).model_copy(update={"asked": asked(5)})
    planned = release_study.plan((OLD, NEW), found)
    text = release_study.sentence(planned, release_study.expected_s(found))
    assert text == "10 rounds of about 200 s: 2 recorded, 8 remain, about 27 min"


def test_a_full_run_is_planned_for_ninety_minutes() -> None:
    """25 rounds; the loads' own lengths fit into what is expected of them."""
    assert 25 * release_sides.EXPECTED_S <= 90 * 60
    for load in release_sides.ROUND_LOADS:
        assert catalogue.read(load.scenario).duration_s < load.expected_s


def test_rounds_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    """Other sides, another rate, another machine: one line each."""
    release_rounds.write_asked(tmp_path, asked(5))
    now = asked(5)
    with pytest.raises(InputError, match="holds rounds at 16 requests/s"):
        release_study.refuse_other(tmp_path, asked(5), now.model_copy(update={"rate_per_s": 8.0}))
    with pytest.raises(InputError, match="another version's loads"):
        release_study.refuse_other(tmp_path, asked(5), now.model_copy(update={"loads": {}}))
    with pytest.raises(InputError, match="holds rounds of 24-eventlet, 27"):
        release_study.refuse_other(tmp_path, asked(5), asked(5, release_sides.SIDES))
    elsewhere = {**WHERE.environment, "cpu": "Another processor"}
    moved = now.model_copy(update={"circumstances": WHERE.model_copy(update={"environment": elsewhere})})
    with pytest.raises(InputError, match="of another machine"):
        release_study.refuse_other(tmp_path, asked(5), moved)
    with pytest.raises(InputError, match="holds rounds of another"):
        release_study.begun(tmp_path, (OLD, NEW), 5, 16.0)


# Data and page


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "round-1-27.json"),
        ("{}", "is damaged"),
        (a_round("25", 1).model_dump_json(), "holds turn 1 of 25"),
        (a_round("27", 1).model_dump_json().replace("200.0", "-1.0"), "is damaged: took_s"),
        (a_round("27", 1).model_dump_json().replace("200.0", "1e999"), "round-1-27.json"),
    ],
)
def test_a_damaged_round_is_one_line(tmp_path: Path, content: str, said: str) -> None:
    """Never a traceback, and never a figure."""
    release_rounds.write_asked(tmp_path, asked(1))
    (tmp_path / "round-1-27.json").write_text(content)
    with pytest.raises(InputError, match=said):
        published.made(tmp_path)


@pytest.mark.slow
def test_the_page_is_made_from_the_rounds_alone(tmp_path: Path) -> None:
    """Byte for byte; each row is a difference or says that there is none."""
    found = result()
    release_rounds.write_asked(tmp_path, found.asked)
    for each in found.rounds:
        release_rounds.write(tmp_path, each)
    assert published.is_study(tmp_path)
    made = published.made(tmp_path)
    assert made == release_page.files(found)
    assert {"figures/24-eventlet-to-27.svg", "figures/24-eventlet-to-27.png"} <= set(made)
    page = made["report.md"].decode()
    assert "10 of 10 rounds" in page
    assert "no detectable difference" in page
    assert (
        "| Start until it serves: API | 2.00 s | 3.01 s | +50.0 % (+49.4 to +50.6 %) | 0.0079 | slower |"
        in page
    )
    assert "No generator was the bottleneck" in page
    assert made["tables/figures.csv"].decode().splitlines()[0] == "turn,side,group,figure,unit,value"


@pytest.mark.slow
def test_the_page_of_no_round_and_of_late_generators() -> None:
    """It says what is missing."""
    few = release_page.files(result(rounds=4))
    assert "| too few rounds: 4 and 4 |" in few["report.md"].decode()
    assert not any(name.startswith("figures/") for name in few)
    none = result().model_copy(update={"rounds": ()})
    assert "0 of 10 rounds" in release_page.files(none)["report.md"].decode()
    late = release_page.files(result(late=True))["report.md"].decode()
    assert "In 10 of 10 rounds the generator was the bottleneck" in late


@pytest.mark.slow
@pytest.mark.parametrize("extreme", [0.0, 5e-324, 1e-300, 1e9])
def test_damaged_numbers_make_a_page(extreme: float) -> None:
    """Whatever a file may hold: no division by almost nothing, no text of hundreds of digits."""
    found = result()
    changed = found.rounds[0].model_copy(update={"idle_s": extreme, "start_s": {"rest": extreme}})
    loads = tuple(each.model_copy(update={"window_s": extreme}) for each in changed.loads)
    rounds = (changed.model_copy(update={"loads": loads}), *found.rounds[1:])
    page = release_page.files(found.model_copy(update={"rounds": rounds}))["report.md"].decode()
    assert "inf" not in page.split("## Environment")[0]
    assert max(len(cell) for line in page.splitlines() if line[:1] == "|" for cell in line.split("|")) < 200


# Command line


def test_the_plan_touches_nothing(tmp_path: Path) -> None:
    """It says what remains."""
    folder = tmp_path / "none"
    done = CliRunner().invoke(releases, ["--plan", "--folder", str(folder), "--rounds", "1"])
    assert done.output.splitlines()[0] == "turn 1  24-eventlet  remains"
    assert done.output.splitlines()[-1] == "5 rounds of about 214 s: 0 recorded, 5 remain, about 18 min"
    assert not folder.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--side", "24-evntlet", "--side", "27"], "did you mean '24-eventlet'"),
        (["--side", "27"], "only 27 given"),
        (["--name", "No Name"], "--name"),
    ],
)
def test_bad_input_is_one_line(words: list[str], said: str) -> None:
    """Nothing is started."""
    done = CliRunner().invoke(releases, [*words, "--plan"])
    assert isinstance(done.exception, InputError)
    assert said in str(done.exception)
