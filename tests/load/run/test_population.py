"""How many users and stacks there are now, in each second of the generator."""

from __future__ import annotations

from types import SimpleNamespace

from calorimeter.load.run.generator_monitor import population


def user(*final_ns: int) -> SimpleNamespace:
    """The greenlet of a user with stacks that were final at these times; 0: not yet."""
    stacks = [SimpleNamespace(entry=SimpleNamespace(final_ns=each)) for each in final_ns]
    return SimpleNamespace(args=(SimpleNamespace(stacks=stacks),))


def test_stacks_in_progress_are_accepted_and_not_final() -> None:
    """Of all users that run; users that Locust starts or stops have none of them twice."""
    runner = SimpleNamespace(user_count=4, user_greenlets=[user(0, 5), user(), user(0)])
    assert population(runner) == (4, 2)
