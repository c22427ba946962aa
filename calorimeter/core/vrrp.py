"""VRRP between proxies that share a virtual address, and how soon that address moves.

Sources of the formulas: RFC 5798 (VRRP 3), section 6.1, for the time after which a silent holder is
replaced; keepalived.conf(5), `vrrp_script`, for the check by which keepalived notices that its proxy does
not work. All bounds are for a fault at the worst moment, just after an announcement or a passed check.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated

from calorimeter.core import bounds
from calorimeter.core.toml import Model, Seconds

OWNER = 255
"""The priority of a router that owns the address (RFC 5798, section 5.2.4)."""


class Vrrp(Model):
    """The VRRP settings of one proxy. Defaults are keepalived's.

    `advert_s` is `advert_int`, `preempt_delay_s` is `preempt_delay`. The `check_…` keys are those of the
    `vrrp_script` that asks the proxy whether it works; without `check_interval_s` nothing asks it.
    `check_timeout_s` is after how long a check has failed that gets no answer (default: its interval).
    `check_weight` is what a passed check adds to the priority, or a failed one takes from it if it is
    negative; with 0 a failed check gives the address up.
    """

    priority: Annotated[int, bounds.VRRP_PRIORITY] = 100
    advert_s: Seconds = 1.0
    preempt: bool = True
    preempt_delay_s: Annotated[float, bounds.PREEMPT_DELAY] = 0.0
    check_interval_s: Seconds | None = None
    check_timeout_s: Seconds | None = None
    check_fall: Annotated[int, bounds.HAPROXY_INTEGER] = 1
    check_rise: Annotated[int, bounds.HAPROXY_INTEGER] = 1
    check_weight: Annotated[int, bounds.CHECK_WEIGHT] = 0

    @property
    def working_priority(self) -> int:
        """The priority while the proxy passes its check."""
        return self._weighted(max(0, self.check_weight))

    @property
    def failed_priority(self) -> int:
        """The priority while the proxy fails its check; 0 if it gives the address up then."""
        return self._weighted(min(0, self.check_weight)) if self.check_weight else 0

    def _weighted(self, weight: int) -> int:
        """keepalived keeps the sum within 1 and 254, and leaves the 255 of an address's owner alone."""
        return self.priority if self.priority == OWNER else min(max(self.priority + weight, 1), OWNER - 1)

    @property
    def skew_s(self) -> float:
        """Skew_Time: ((256 − priority) · advert_int) / 256. It lets the highest priority be the first."""
        return (256 - self.working_priority) * self.advert_s / 256

    @property
    def master_down_s(self) -> float:
        """Master_Down_Interval: 3 · advert_int + Skew_Time. After so long without an announcement this
        proxy takes the address."""
        return 3 * self.advert_s + self.skew_s


def noticed_s(holder: Vrrp, fault: str) -> float | None:
    """The longest time until the holder's own keepalived stops announcing; None if it never does.

    A killed or stopped proxy refuses each check: interval · fall. A frozen one lets each check wait for its
    timeout; keepalived starts none while one runs, so the next one starts with the first interval after it.
    A host that is dead or cut off announces nothing from that moment on.
    """
    if fault not in ASKED:
        return 0.0
    if holder.check_interval_s is None:
        return None
    interval_s, timeout_s = holder.check_interval_s, holder.check_timeout_s or holder.check_interval_s
    if fault != "freeze":
        return interval_s * holder.check_fall
    period_s = (math.floor(timeout_s / interval_s) + 1) * interval_s
    return interval_s + (holder.check_fall - 1) * period_s + timeout_s


ASKED = frozenset({"kill", "stop", "freeze"})
"""Faults of the process of a proxy, which only the check of its keepalived can notice."""


def moves_s(holder: Vrrp, taker: Vrrp, fault: str | None) -> float | None:
    """The longest time until `taker` has the address of `holder`; None if it never moves.

    `fault` is that of the holder's proxy (`kill`, `stop`, `freeze`); None: its host, its link or its
    keepalived is gone. The sum of `noticed_s` and the taker's Master_Down_Interval. A holder that notices
    says so in an announcement of priority 0, after which the taker waits for its Skew_Time alone; but that
    is one packet, which may be lost.

    With `check_weight` the holder goes on announcing, with a lower priority. A taker whose own is not
    higher, or that has `nopreempt`, never takes the address then; another one ignores those announcements,
    after its `preempt_delay`.
    """
    noticed = noticed_s(holder, fault) if fault else 0.0
    if noticed is None:
        return None
    if fault in ASKED and holder.failed_priority:
        taken = taker.preempt and taker.working_priority > holder.failed_priority
        return noticed + taker.preempt_delay_s + taker.master_down_s if taken else None
    return noticed + taker.master_down_s


def slowest_move_s(holder: Vrrp, takers: Iterable[Vrrp], fault: str | None) -> float | None:
    """`moves_s` to the slowest of those that may take the address; None if none of them ever does."""
    bounds_s = (moves_s(holder, taker, fault) for taker in takers)
    return max((bound_s for bound_s in bounds_s if bound_s is not None), default=None)


def returns_s(returning: Vrrp) -> float:
    """The longest time until a proxy that works again takes its address back, by preemption.

    rise · interval, until its check has passed often enough; then `preempt_delay` and its
    Master_Down_Interval, in which it ignores announcements of lower priority.
    """
    checked_s = (returning.check_interval_s or 0.0) * returning.check_rise
    return checked_s + returning.preempt_delay_s + returning.master_down_s
