"""The number of stacks that a tenant may have; Heat refuses more than `max_stacks_per_tenant` with 400."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Quota:
    """The stacks of one tenant in this process; `most` is None if their number is not limited."""

    most: int | None = None
    taken: int = 0

    def left(self) -> bool:
        """Whether the tenant may have one more stack."""
        return self.most is None or self.taken < self.most

    def take(self) -> None:
        """Count a stack that is requested."""
        self.taken += 1

    def give_back(self) -> None:
        """Discount a stack that is gone, or whose create was refused."""
        self.taken -= 1
