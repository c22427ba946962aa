"""Arrivals and stages in scenario files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calorimeter.core.errors import InputError
from calorimeter.workload import catalogue
from calorimeter.workload.scenario import Scenario
from calorimeter.workload.stages import Arrivals, Stage, cut, level_at

HEAD = 'name = "mine"\nabout = "A test."\n'
REST = '[rest]\ntemplate = "tiny.yaml"\n[rest.mix]\nlist = 1\n'
CLOSED = HEAD + "users = 3\nduration_s = 10\n" + REST
STEPS = HEAD + "users = 30\n[[stages]]\nduration_s = 5\nrate_per_s = 10\n[[stages]]\nduration_s = 10\n"
STEPS += "rate_per_s = 20\nramp = true\n" + REST
CROWD = HEAD + "[[stages]]\nduration_s = 5\nusers = 10\n[[stages]]\nduration_s = 10\nusers = 40\n" + REST


def read(text: str, tmp_path: Path) -> Scenario:
    """The scenario of this text."""
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return catalogue.read(path)


def test_stages_set_the_duration_and_the_users(tmp_path: Path) -> None:
    """The duration is the sum of the stages' durations; stages of users set the number of users."""
    steps, crowd = read(STEPS, tmp_path), read(CROWD, tmp_path)
    assert (steps.duration_s, steps.users, len(steps.rates)) == (15, 30, 2)
    assert (crowd.duration_s, crowd.users, crowd.rates) == (15, 40, ())


def test_one_rate_is_one_stage(tmp_path: Path) -> None:
    """A rate without stages lasts for the whole run; its arrivals are Poisson by default."""
    scenario = read(CLOSED + "[arrivals]\nrate_per_s = 5\n", tmp_path)
    assert scenario.rates == (Stage(duration_s=10, rate_per_s=5),)
    assert scenario.arrivals is not None and scenario.arrivals.spacing == "poisson"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (STEPS.replace("rate_per_s = 10", "users = 10"), "stages have either all users or all rate_per_s"),
        (STEPS.replace("rate_per_s = 10", ""), "a stage has either users or rate_per_s"),
        (STEPS.replace("rate_per_s = 10", "rate_per_s = 10\nusers = 5"), "either users or rate_per_s"),
        (STEPS.replace("duration_s = 5", "duration_s = 0"), "stages[1].duration_s: 0 given; valid: a"),
        (STEPS.replace("rate_per_s = 10", "rate_per_s = -1"), "stages[1].rate_per_s: -1 given"),
        (STEPS.replace("rate_per_s = 10", 'rate_per_s = "many"'), "stages[1].rate_per_s: 'many' given"),
        (STEPS.replace("ramp", "slope"), "stages[2].slope: unknown key 'slope'; valid: duration_s, ramp"),
        (STEPS.replace("= 10", "= 0").replace("= 20", "= 0").replace("duration_s = 0", "duration_s = 9"),
         "no stage has a user or an arrival"),
        (STEPS.replace("users = 30", "users = 30\nduration_s = 15"), "leave out duration_s"),
        (CROWD.replace("[[", "users = 5\n[[", 1), "users follows from the stages"),
        (STEPS + "[arrivals]\nrate_per_s = 3\n", "in the stages or in [arrivals], not in both"),
        (CROWD + '[arrivals]\nspacing = "constant"\n', "[arrivals] contradicts stages of users"),
        (CLOSED + "[arrivals]\n", "arrivals need a rate_per_s, or stages that have one"),
        (CLOSED + '[arrivals]\nrate_per_s = 1\nspacing = "posson"\n', "did you mean 'poisson'?"),
        (STEPS.replace("users = 30", "warm_up_s = 15\nusers = 30"), "warm_up_s (15) must be shorter"),
    ],
)  # fmt: skip
def test_impossible_stages_are_one_line(tmp_path: Path, text: str, line: str) -> None:
    """Contradictory stages and arrivals: the error is one line with where, what and why."""
    with pytest.raises(InputError) as problem:
        read(text, tmp_path)
    message = str(problem.value)
    assert line in message
    assert message.startswith(f"{tmp_path / 'mine.toml'}: ")
    assert "\n" not in message


STAGES = st.lists(
    st.builds(Stage, duration_s=st.floats(0.5, 50), rate_per_s=st.floats(0, 100), ramp=st.booleans()),
    min_size=1,
    max_size=5,
)


@given(stages=STAGES, share=st.floats(0.05, 2))
def test_cut_stages_are_the_same_until_the_cut(stages: list[Stage], share: float) -> None:
    """Cut stages have the same levels as before; extended ones hold the last level."""
    whole = sum(stage.duration_s for stage in stages)
    shorter = cut(stages, whole * share)
    assert sum(stage.duration_s for stage in shorter) == pytest.approx(whole * share)
    for part in (0.01, 0.3, 0.6, 0.99):
        at_s = whole * share * part
        before = level_at(stages, at_s)
        assert level_at(shorter, at_s) == pytest.approx(before if before is not None else stages[-1].level)
    assert level_at(shorter, whole * share * 1.001) is None


def test_command_line_overrides_the_scenario(tmp_path: Path) -> None:
    """A rate replaces closed users and stages with open arrivals; a duration cuts stages."""
    closed, steps, crowd = (read(text, tmp_path) for text in (CLOSED, STEPS, CROWD))
    opened = closed.with_overrides(rate_per_s=50)
    assert (opened.arrivals, opened.users) == (Arrivals(rate_per_s=50), 100)
    assert opened.with_overrides(duration_s=4).rates == (Stage(duration_s=4, rate_per_s=50),)
    assert closed.with_overrides(rate_per_s=50, users=7).users == 7
    assert steps.with_overrides(rate_per_s=2, duration_s=60).rates == (Stage(duration_s=60, rate_per_s=2),)
    assert [stage.duration_s for stage in steps.with_overrides(duration_s=8).rates] == [5, 3]
    with pytest.raises(InputError, match="--users"):
        crowd.with_overrides(users=5)


def test_shorter_run_has_a_shorter_warm_up(tmp_path: Path) -> None:
    """In a run that is shorter than its scenario, the warm-up is at most a fifth of the duration."""
    scenario = read(CLOSED.replace("users = 3", "users = 3\nwarm_up_s = 8"), tmp_path)
    assert scenario.with_overrides(duration_s=5).warm_up_s == 1
    assert scenario.with_overrides(duration_s=100).warm_up_s == 8
