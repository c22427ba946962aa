"""What `run --abort-on-objective` notes in run.json: what was tested, and what ended the load early."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from calorimeter.core.errors import InputError
from calorimeter.core.recorded import recorded_json
from calorimeter.core.recorded.recorded_json import Amount, Count, Duration
from calorimeter.core.toml import Model

KEY = "abort_on_objective"
"""The key of run.json."""

STOPPED = "objective"
"""`stopped` in run.json of a load that an objective ended."""

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Words = Annotated[str, Field(max_length=300)]


class MissedObjective(Model):
    """The objective that ended a load, `at_s` after the load began.

    Of `requests` of the measured part until then, `beyond` were beyond the limit; `allowed` is the share
    that may be. `t` is Student's, of `batches` batches of `batch_s` each; `p` the chance of such an excess
    if the objective holds, `p_allowed` the largest that ends a load.
    """

    objective: Words
    at_s: Duration
    requests: Count
    beyond: Count
    allowed: Share
    t: Amount
    p: Share
    p_allowed: Share
    batches: Count
    batch_s: Duration

    @property
    def sentence(self) -> str:
        """What ended the load, when, and the figures; without a full stop."""
        share = self.beyond / self.requests if self.requests else 0.0
        return (
            f"{self.objective}: {self.beyond:,} of {self.requests:,} requests ({share:.2%}) were beyond it "
            f"after {self.at_s:.0f} s, {self.allowed * 100:.4g} % may be (p = {self.p:.1g} over "
            f"{self.batches} batches of {self.batch_s:g} s)"
        )


class ObjectiveTest(Model):
    """The sequential test of a load: its `error`, the bounds that it `tested`, its `looks` at each of them.

    `untested` are the bounds that it cannot test. `ended` is None if it ended nothing.
    """

    error: Share
    tested: Annotated[tuple[Words, ...], Field(max_length=1000)]
    untested: Annotated[tuple[Words, ...], Field(max_length=1000)] = ()
    looks: Count
    ended: MissedObjective | None = None

    @property
    def sentence(self) -> str:
        """What the test did, as pages show it."""
        if self.ended is not None:
            return f"{self.ended.sentence}; the test errs in {self.error:.0%} of loads at most"
        count = len(self.tested)
        return f"no: none of {count} tested objectives was proven to be missed (error {self.error:.0%})"


def of(about: Mapping[str, Any]) -> ObjectiveTest | None:
    """The note in run.json; None if there is none, or it has another shape."""
    noted = about.get(KEY)
    if not isinstance(noted, dict):
        return None
    try:
        return recorded_json.validated(noted, ObjectiveTest, "run.json")
    except InputError:
        return None
