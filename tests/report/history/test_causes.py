"""What changed together with a figure."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from calorimeter.report.history.causes import NEAR, changed_facts


def facts(name: str, *values: str) -> list[dict[str, str]]:
    """Runs that note one thing."""
    return [{name: value} if value else {} for value in values]


def test_a_fact_that_changed_there_is_named() -> None:
    """With its value before and after."""
    (found,) = changed_facts(facts("Heat", "24", "24", "24"), facts("Heat", "25", "25"))
    assert str(found) == "Heat 24 → 25"


def test_a_fact_that_changed_nearby_is_named_with_the_distance() -> None:
    """Up to two runs away, before or after."""
    (found,) = changed_facts(facts("kernel", "a", "a", "b"), facts("kernel", "b", "b"))
    assert str(found) == "kernel a → b (one run before)"
    (found,) = changed_facts(facts("kernel", "a", "a", "a"), facts("kernel", "a", "a", "b"))
    assert str(found) == "kernel a → b (2 runs later)"
    assert changed_facts(facts("kernel", "a", "a"), facts("kernel", "a", "a", "a", "b")) == ()


def test_what_changes_all_the_time_comes_last() -> None:
    """And says how often it changed."""
    revisions = facts("git revision", "1", "2", "3", "4", "5", "6")
    heat = facts("Heat", "24", "24", "24", "25", "25", "25")
    runs = [one | other for one, other in zip(revisions, heat, strict=True)]
    found = changed_facts(runs[:3], runs[3:])
    assert [each.name for each in found] == ["Heat", "git revision"]
    assert str(found[1]) == "git revision 3 → 4 (changed 5 times in these runs)"


def test_what_older_runs_do_not_note_is_said() -> None:
    """A later version of the suite notes more."""
    (found,) = changed_facts(facts("CPUs", "", "", ""), facts("CPUs", "2", "2"))
    assert str(found) == "CPUs not noted → 2"


RUNS = st.lists(st.dictionaries(st.sampled_from("abc"), st.sampled_from("12")), min_size=1, max_size=6)


@given(before=RUNS, after=RUNS)
def test_every_cause_really_changed_nearby(
    before: list[dict[str, str]], after: list[dict[str, str]]
) -> None:
    """And facts that are the same in all runs are none."""
    for found in changed_facts(before, after):
        place = len(before) + found.later
        runs = [*before, *after]
        assert abs(found.later) <= NEAR
        assert runs[place - 1].get(found.name) != runs[place].get(found.name)
    same = [{"a": "1"} for _ in before]
    assert changed_facts(same, same) == ()
