"""The promises of HAProxy's balance algorithms, on sequences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calorimeter.core.balance_policy import Policy, out_of_order, out_of_turn
from calorimeter.core.expect import BALANCES

TURNS = st.lists(st.sampled_from(["a", "b", None]), max_size=30)


@pytest.mark.parametrize("balance", sorted(BALANCES))
def test_each_balance_has_a_policy(balance: str) -> None:
    """By its first word, whatever its arguments are."""
    assert balance in Policy.of(balance).value
    assert Policy.of(f"{balance}(x) y") is Policy.of(balance)


def test_what_nobody_knows_is_left_to_the_request() -> None:
    """A recorded run may hold any text."""
    assert Policy.of("") is Policy.of("zzz") is Policy.REQUEST


@given(TURNS, st.floats(0, 1))
def test_out_of_turn_is_the_worst_run(turns: list[str | None], share: float) -> None:
    """Against all runs: unknown turns count in favour of the server when it is behind, and never ahead."""
    runs = [turns[i:j] for i in range(len(turns) + 1) for j in range(i, len(turns) + 1)]
    ahead = max(run.count("a") - share * len(run) for run in runs)
    behind = max(share * len(run) - run.count("a") - run.count(None) for run in runs)
    assert out_of_turn(turns, "a", share) == pytest.approx((max(ahead, 0), max(behind, 0)), abs=1e-9)


@given(st.integers(1, 60), st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_one_that_goes_to_the_fewest_is_in_order(number: int, weights: list[int]) -> None:
    """And a further connection to a server that had more is not."""
    of = {f"s{n}": weight for n, weight in enumerate(weights)}
    held: list[str] = []
    for _ in range(number):
        held.append(min(of, key=lambda s: (held.count(s) + 1) / of[s] if s in held else 0))
    assert out_of_order(held, of) is None
    most = max(of, key=lambda s: (held.count(s) + 1) / of[s] if s in held else 0)
    least = min(of, key=lambda s: (held.count(s) + 1) / of[s] if s in held else 0)
    if (held.count(most) + 1) / of[most] > ((held.count(least) + 1) / of[least] if least in held else 0):
        assert out_of_order([*held, most], of) == (number + 1, least)


def test_a_server_that_is_not_known_is_out_of_order() -> None:
    """It has no weight, and should have got nothing."""
    assert out_of_order(["z"], {"a": 1}) == (1, "a")
