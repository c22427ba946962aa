"""Faults as data: valid texts, and texts that are refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calorimeter.core.deployment import Deployment, read
from calorimeter.core.errors import InputError
from calorimeter.core.faults.schedule import FAULTS, Fault, Schedule, announcement, parse, refusal, resolve

FILE = """
name = "cloud"
[rest]
url = "http://127.0.0.1:1/v1"
proxy_section = "r"
backends = [{ name = "rest-1", address = "127.0.0.1:2" }]
[[parts]]
name = "rest-1"
kind = "rest"
kill = "kill-it"
start = "start-it"
freeze = "freeze-it"
[parts.faults.unreachable]
inject = "drop"
heal = "pass"
[[parts]]
name = "rest-2"
kind = "rest"
kill = "kill-2"
start = "start-2"
"""


@pytest.fixture
def cloud(tmp_path: Path) -> Deployment:
    """A deployment whose owner allows some faults."""
    (tmp_path / "cloud.toml").write_text(FILE)
    return read(tmp_path / "cloud.toml")


@given(
    st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True),
    st.sampled_from(FAULTS),
    st.integers(0, 10_000),
    st.integers(1, 10_000),
)
def test_a_fault_reads_back_as_it_is_written(part: str, fault: str, at_s: int, for_s: int) -> None:
    """The text of any fault reads back as the same fault."""
    written = Fault(part=part, fault=fault, at_s=at_s, for_s=for_s)
    assert parse(f"{part}:{fault}@{at_s}s+{for_s}s") == written


def test_units() -> None:
    """Durations are in ms, s, m or h."""
    assert parse("rest-1:kill@500ms+2m") == Fault(part="rest-1", fault="kill", at_s=0.5, for_s=120)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("rest-1", "valid: PART:FAULT@START+LENGTH"),
        ("rest-1:kil@5s+1s", "did you mean 'kill'?"),
        ("rest-1:kill@5+1s", "PART:FAULT@START+LENGTH"),
        ("rest-1:kill@5d+1s", "'5d' in 'rest-1:kill@5d+1s' given; valid: a number of seconds from 0 to"),
        (
            "rest-1:kill@5s+0s",
            "'0s' in 'rest-1:kill@5s+0s' given; valid: a number of seconds from 0.0",
        ),
    ],
)
def test_an_invalid_fault_is_refused_in_one_line(text: str, line: str) -> None:
    """The error is one line that says what is valid."""
    with pytest.raises(InputError) as problem:
        parse(text)
    assert line in str(problem.value)
    assert "\n" not in str(problem.value)


def resolved(cloud: Deployment, *texts: str) -> list[str]:
    """The commands of a schedule, in order of time."""
    schedule = Schedule(fault=tuple(parse(text) for text in texts))
    return [commands.inject for _, commands in resolve(schedule, cloud)]


def test_patterns_and_the_order_of_time(cloud: Deployment) -> None:
    """A pattern stands for every part that it matches; faults are in order of time."""
    assert resolved(cloud, "rest-1:unreachable@9s+1s", "rest-*:kill@1s+2s") == ["kill-it", "kill-2", "drop"]


@pytest.mark.parametrize(
    ("texts", "line"),
    [
        (["rest-3:kill@1s+1s"], "unknown part 'rest-3'"),
        (["rest-1:freeze@1s+1s"], "no commands to inject and heal 'freeze'; valid: kill, unreachable"),
        (["rest-1:kill@1s+5s", "rest-1:unreachable@3s+1s"], "one fault of a part at a time"),
    ],
)
def test_a_schedule_that_cannot_be_executed_is_refused(
    cloud: Deployment, texts: list[str], line: str
) -> None:
    """An unknown part, a fault that cannot be healed, two faults of a part at once: InputError."""
    with pytest.raises(InputError, match=line):
        resolved(cloud, *texts)


def test_only_a_lab_needs_no_yes_break_it(tmp_path: Path) -> None:
    """Faults need consent, and --yes-break-it on any deployment that is not a lab."""
    file = tmp_path / "cloud.toml"
    file.write_text(FILE)
    assert "consent.level = 'invasive'" in str(refusal(read(file), yes_break_it=True))
    file.write_text(FILE + '[consent]\nlevel = "invasive"\n')
    assert "--yes-break-it" in str(refusal(read(file), yes_break_it=False))
    assert refusal(read(file), yes_break_it=True) is None
    (tmp_path / "lab.json").write_text("{}")
    assert refusal(read(file), yes_break_it=False) is None


def test_the_announcement_names_what_is_about_to_be_broken(cloud: Deployment) -> None:
    """It names the deployment, each part and the part's faults."""
    planned = [c for _, c in resolve(Schedule(fault=(parse("rest-*:kill@0s+1s"),)), cloud)]
    assert announcement(cloud, planned)[0].startswith("about to break parts of DEPLOYMENT 'cloud'")
    assert announcement(cloud, planned)[1:] == ["  rest-1: kill", "  rest-2: kill"]
