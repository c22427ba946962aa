"""What a scenario asks of Locust: its stages of users, and the settings as they were used."""

from __future__ import annotations

from typing import Any

from locust import LoadTestShape

from calorimeter.workload.scenario import Scenario
from calorimeter.workload.stages import level_at


def load_settings(scenario: Scenario) -> dict[str, Any]:
    """The settings of a scenario that the command line can change, as they were used."""
    spacing = scenario.arrivals.spacing if scenario.arrivals else "poisson" if scenario.rates else None
    return {
        "users": scenario.users,
        "duration_s": scenario.duration_s,
        "warm_up_s": scenario.warm_up_s,
        "arrivals": spacing,
        "stages": [stage.model_dump(exclude_none=True) for stage in scenario.rates or scenario.stages],
    }


class UserStages(LoadTestShape):
    """Stages of users, which Locust polls once a second."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._scenario = scenario

    def tick(self) -> tuple[int, float] | None:
        """The number of users now, and the rate at which they start; None at the end."""
        at_s: float = self.get_run_time()  # type: ignore[no-untyped-call]
        level = level_at(self._scenario.stages, at_s)
        return None if level is None else (round(level), max(1.0, float(self._scenario.users)))
