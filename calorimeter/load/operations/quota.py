"""How many stacks a tenant may have: Heat refuses what is beyond `max_stacks_per_tenant` with 400."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Quota:
    """The stacks of one tenant in this process; `most` is None where it may have any number."""

    most: int | None = None
    taken: int = 0

    def left(self) -> bool:
        """Whether there may be one more."""
        return self.most is None or self.taken < self.most

    def take(self) -> None:
        """One more is asked for."""
        self.taken += 1

    def give_back(self) -> None:
        """One is gone, or was refused."""
        self.taken -= 1
