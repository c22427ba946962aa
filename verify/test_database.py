"""Gates D: what Heat asks of its database."""

from __future__ import annotations

from calorimeter.core.deployment import Consent
from calorimeter.gates.context import Context
from calorimeter.gates.database.listing_trial import statements_by_stacks
from calorimeter.gates.database.statement_growth import no_class_grows_too_fast
from calorimeter.gates.judge import Judge
from calorimeter.gates.registry import gate

GUIDE = "sql_connection"


@gate("D1", guide=GUIDE, needs=("rest", "identity", "database"), consent=Consent.LOAD)
def test_statements_do_not_grow_faster_than_promised(context: Context, judge: Judge) -> None:
    """No class of statements grows with the number of stacks faster than its operation promises.

    `stack list` may make statements in proportion to the stacks that it lists; `stack show`, `resource
    list` and `event list` of one stack must not make more because there are other stacks.
    """
    judge(statements_by_stacks(context), no_class_grows_too_fast)
