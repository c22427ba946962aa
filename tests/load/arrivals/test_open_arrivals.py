"""Open arrivals: their users, their times, and arrivals that are dropped."""

from __future__ import annotations

import gevent
import pytest

from calorimeter.core.clock import now_ns
from calorimeter.load.arrivals.due_times import DueArrivals
from calorimeter.load.arrivals.open_arrivals import OpenArrivals

MS = 1_000_000


def every_ms(count: int, step: int = 2, kind: int = 0) -> DueArrivals:
    """`count` arrivals, `step` ms apart."""
    return DueArrivals([number * step * MS for number in range(count)], [kind] * count)


class Load:
    """Users that work `work_s` on each arrival; records what they took and what was dropped."""

    def __init__(self, *chunks: DueArrivals, kinds: tuple[str, ...] = ("rest",)) -> None:
        self.dropped: list[tuple[str, int]] = []
        self.taken: list[tuple[int, int, int]] = []
        """User, when it was due, when it was taken."""
        self.arrivals = OpenArrivals(
            iter(chunks), kinds, lambda kind, due, _: self.dropped.append((kind, due))
        )

    def user(self, number: int, work_s: float = 0.0, kind: str = "rest") -> gevent.Greenlet:
        """A user of one API."""

        def live() -> None:
            while due := self.arrivals.wait(kind):
                self.taken.append((number, due, now_ns()))
                if work_s:
                    gevent.sleep(work_s)

        return gevent.spawn(live)

    def until(self, offered: int) -> None:
        """Wait until `count` arrivals were due."""
        deadline = now_ns() + 5000 * MS
        while self.arrivals.offered < offered and now_ns() < deadline:
            gevent.sleep(0.005)
        self.arrivals.close()


def test_each_arrival_is_taken_once_in_order_and_not_early() -> None:
    """Every arrival of all chunks goes to one user when it is due; users take turns."""
    load = Load(every_ms(20), DueArrivals([], []), DueArrivals([40 * MS, 41 * MS], [0, 0]))
    users = [load.user(number) for number in range(4)]
    gevent.sleep(0)
    begin = now_ns() + 5 * MS
    load.arrivals.begin(begin)
    load.until(22)
    gevent.joinall(users, timeout=5, raise_error=True)
    assert [(due - begin) // MS for _, due, _ in load.taken] == [*range(0, 40, 2), 40, 41]
    assert all(at >= due for _, due, at in load.taken)
    assert {number for number, _, _ in load.taken} == {0, 1, 2, 3}
    assert (load.arrivals.offered, load.arrivals.drops, load.dropped) == (22, 0, [])
    assert len(load.arrivals.take_lags()) == 22
    assert len(load.arrivals.take_lags()) == 0


def test_arrivals_without_a_free_user_are_dropped_and_reported() -> None:
    """If all users are busy, an arrival is dropped at once, with its due time."""
    load = Load(every_ms(5))
    users = [load.user(number, work_s=0.5) for number in range(2)]
    gevent.sleep(0)
    begin = now_ns()
    load.arrivals.begin(begin)
    load.until(5)
    gevent.joinall(users, timeout=5, raise_error=True)
    assert [due - begin for _, due, _ in load.taken] == [0, 2 * MS]
    assert [(kind, due - begin) for kind, due in load.dropped] == [
        ("rest", 4 * MS),
        ("rest", 6 * MS),
        ("rest", 8 * MS),
    ]
    assert (load.arrivals.offered, load.arrivals.drops) == (5, 3)


def test_late_arrivals_are_neither_skipped_nor_moved() -> None:
    """After a halt of the loop, all overdue arrivals are handed out at once, each with its own due time."""
    load = Load(every_ms(300, step=1))
    users = [load.user(number) for number in range(50)]
    gevent.sleep(0)
    begin = now_ns()
    load.arrivals.begin(begin)
    until = now_ns() + 100 * MS
    while now_ns() < until:  # nobody else runs
        pass
    load.until(300)
    gevent.joinall(users, timeout=5, raise_error=True)
    seen = sorted([due for _, due, _ in load.taken] + [due for _, due in load.dropped])
    assert [(due - begin) // MS for due in seen] == list(range(300))
    assert max(load.arrivals.take_lags()) > 50 * MS


def test_apis_have_their_own_users() -> None:
    """An arrival of one API is not taken by a user of the other."""
    load = Load(DueArrivals([0, MS, 2 * MS], [0, 1, 1]), kinds=("rest", "cfn"))
    users = [load.user(1, kind="rest"), load.user(2, work_s=0.5, kind="cfn")]
    gevent.sleep(0)
    load.arrivals.begin(now_ns())
    load.until(3)
    gevent.joinall(users, timeout=5, raise_error=True)
    assert [number for number, _, _ in load.taken] == [1, 2]
    assert [kind for kind, _ in load.dropped] == ["cfn"]


@pytest.mark.parametrize("how", ["dismissed", "killed"])
def test_user_that_goes_gets_no_arrival(how: str) -> None:
    """A user that is dismissed or killed while it waits gets no arrival, and delays no other user."""
    load = Load(every_ms(5))
    going, staying = load.user(1), load.user(2)
    gevent.sleep(0)
    if how == "killed":
        going.kill()
    else:
        load.arrivals.dismiss(going)
        going.join(1)
    assert going.dead
    load.arrivals.begin(now_ns())
    load.until(5)
    staying.join(1)
    assert [number for number, _, _ in load.taken] == [2] * 5
    assert load.dropped == []
