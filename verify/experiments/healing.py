"""What an experiment broke is whole again when it ends, however it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from verify.bench import Bench


@contextmanager
def healing(bench: Bench) -> Iterator[None]:
    """End all that is broken when the context is left: the gates that follow find every part alive."""
    breaker = bench.breaker
    try:
        yield
    finally:
        breaker.heal_all()
