"""The bounds that follow from VRRP settings."""

from __future__ import annotations

import pytest

from calorimeter.core.vrrp import Vrrp, moves_s, noticed_s, returns_s

HOLDER = Vrrp(priority=102, check_interval_s=1.0, check_timeout_s=2.0, check_fall=2, check_rise=2)
TAKER = HOLDER.model_copy(update={"priority": 101})


def test_master_down_interval_of_the_rfc() -> None:
    """RFC 5798: with priority 100 and an announcement each second, 3 s and a skew of 156/256 s."""
    assert Vrrp(priority=100).master_down_s == pytest.approx(3 + 156 / 256)
    assert Vrrp(priority=255).skew_s == pytest.approx(1 / 256)
    assert Vrrp(priority=101, advert_s=0.2).master_down_s == pytest.approx(0.6 + 0.2 * 155 / 256)


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        (None, 0.0),  # its host or link: it announces nothing from then on
        ("kill", 2.0),  # two refused checks, a second apart
        ("stop", 2.0),
        ("freeze", 6.0),  # one second, a check of 2 s, the next one 3 s after it began: 1 + 3 + 2
    ],
)
def test_what_the_holder_needs_to_notice(fault: str | None, seconds: float) -> None:
    """A check that waits for its timeout delays the next one."""
    assert moves_s(HOLDER, TAKER, fault) == pytest.approx(seconds + TAKER.master_down_s)


def test_a_check_that_ends_before_the_next_is_due_delays_none() -> None:
    """interval 2, timeout 1, fall 3: the third check begins at 6 s at the latest, and fails at 7 s."""
    quick = Vrrp(check_interval_s=2.0, check_timeout_s=1.0, check_fall=3)
    assert noticed_s(quick, "freeze") == 7.0


def test_nothing_moves_the_address_of_a_proxy_that_nobody_asks() -> None:
    """Its keepalived goes on announcing; a dead host is noticed all the same."""
    unasked = Vrrp()
    assert moves_s(unasked, TAKER, "kill") is None
    assert moves_s(unasked, TAKER, None) == pytest.approx(TAKER.master_down_s)


def test_return_waits_for_the_check_the_delay_and_the_interval() -> None:
    """rise 2 · 1 s, preempt_delay 10 s, and 3.602 s."""
    back = HOLDER.model_copy(update={"preempt_delay_s": 10.0})
    assert returns_s(back) == pytest.approx(2 + 10 + 3 + 154 / 256)


@pytest.mark.parametrize(
    ("holder", "taker", "moves"),
    [
        ((102, -20), (101, -20), True),  # 82 against 101
        ((102, 2), (101, 2), True),  # 102 against 103: the holder lacks its 2, the taker has its own
        ((150, -20), (101, -20), False),  # 130 against 101: too small a weight
        ((102, -1), (101, 0), False),  # 101 against 101: an equal priority does not preempt
        ((254, 5), (252, 5), False),  # keepalived keeps both at 254
        ((255, -100), (101, 0), False),  # an owner's priority stays
        ((3, -50), (2, 0), True),  # 1 at least
    ],
)
def test_a_weighted_check_moves_the_address_if_it_lowers_the_priority_enough(
    holder: tuple[int, int], taker: tuple[int, int], moves: bool
) -> None:
    """keepalived.conf(5), `weight`: a tracked script with a weight changes the priority, and no more."""
    mine, other = (HOLDER.model_copy(update={"priority": p, "check_weight": w}) for p, w in (holder, taker))
    expected = 2.0 + other.master_down_s if moves else None
    assert moves_s(mine, other, "kill") == (pytest.approx(expected) if moves else None)
    assert moves_s(mine, other, None) == pytest.approx(other.master_down_s)  # a dead host says nothing


def test_a_weighted_check_waits_for_the_delay_and_never_moves_to_nopreempt() -> None:
    """The holder goes on announcing, so that taking the address is preemption."""
    mine = HOLDER.model_copy(update={"check_weight": -20})
    delayed = TAKER.model_copy(update={"preempt_delay_s": 5.0})
    assert moves_s(mine, delayed, "kill") == pytest.approx(2 + 5 + TAKER.master_down_s)
    assert moves_s(mine, TAKER.model_copy(update={"preempt": False}), "kill") is None
