"""Every regular expression takes time in proportion to its text: no foreign line can stop the suite."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.patterns import Used, all_patterns, attacks

LENGTH = 64 * 1024
LIMIT_S = 0.1


@contextmanager
def stopped_after(seconds: float) -> Iterator[None]:
    """Raise TimeoutError after a CPU time in the block: a pattern that is not linear may take for ever."""

    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def seconds(used: Used, way: str, text: str) -> float:
    """The CPU time of one use of a pattern; infinite if it takes very long."""
    pattern = used.pattern
    calls = {
        "sub": lambda: pattern.sub("", text),
        "subn": lambda: pattern.sub("", text),
        "split": lambda: pattern.split(text),
        "findall": lambda: pattern.findall(text),
        "finditer": lambda: [None for _ in pattern.finditer(text)],
        "match": lambda: pattern.match(text),
        "fullmatch": lambda: pattern.fullmatch(text),
    }
    started = time.process_time()
    try:
        with stopped_after(0.5):
            calls.get(way, lambda: pattern.search(text))()
    except TimeoutError:
        return float("inf")
    return time.process_time() - started


def slow_uses(used: Used, length: int = LENGTH) -> Iterator[str]:
    """The texts for which a pattern is not linear, or takes longer than it may."""
    for way in used.ways:
        for part, whole in zip(
            attacks(used.pattern, length // 8), attacks(used.pattern, length), strict=True
        ):
            long = seconds(used, way, whole)
            if long < LIMIT_S / 2:
                continue
            short = min(seconds(used, way, part) for _ in range(3))
            long = min(long, *(seconds(used, way, whole) for _ in range(4 if long < 1 else 1)))
            if long > LIMIT_S or long > max(24 * short, LIMIT_S / 2):
                yield f"{used.place} {way} {whole[:40]!r}…{whole[-12:]!r}: {short:.3f} s, then {long:.3f} s"
                return


@pytest.mark.slow
def test_every_pattern_is_linear() -> None:
    """64 KiB take each pattern less than 0.1 s, and about eight times as long as 8 KiB; not 64 times."""
    patterns = sorted(all_patterns(), key=lambda used: used.place)
    assert len(patterns) > 100
    assert [slow for used in patterns for slow in slow_uses(used)] == []


@pytest.mark.slow
def test_the_search_finds_patterns_that_are_not_linear() -> None:
    """The check has been red: these take quadratic, cubic or exponential time."""
    for bad in (
        r"^.*\b(?:x-[\w-]*(?:key)[\w-]*)\s+(.+)$",
        r"(a+)+b",
        r"(?:a|a)*$",
        r"\s+$",
        r"=.*@",
        r"\d+x",
    ):
        used = Used("here", re.compile(bad), frozenset({"search"}))
        assert list(slow_uses(used, 16 * 1024)), bad
