"""Gates L: every stack that Heat accepted is accounted for."""

from __future__ import annotations

from calorimeter.core.deployment import Consent
from calorimeter.gates.context import Context
from calorimeter.gates.judge import Judge
from calorimeter.gates.ledger.accounting import all_accounted_for
from calorimeter.gates.ledger.crash_accounts import accounts
from calorimeter.gates.ledger.stack_burst import ledger
from calorimeter.gates.ledger.stack_ledger import all_final, nothing_left
from calorimeter.gates.registry import Break, gate

GUIDE = "each engine will subscribe to the same AMQP engine queue and pick up work"
NEEDS = ("rest", "identity", "broker management", "broker trace")


@gate("L1", guide=GUIDE, needs=NEEDS, consent=Consent.INVASIVE)
def test_every_accepted_stack_reaches_one_final_state(context: Context, judge: Judge) -> None:
    """Every accepted stack reaches exactly one final state.

    The templates cannot fail, so every stack must become complete; and a value that one engine encrypted
    and stored, any engine must return as it was created.
    """
    judge(ledger(context), all_final)


@gate("L2", guide=GUIDE, needs=NEEDS, consent=Consent.INVASIVE)
def test_deletes_leave_nothing_behind(context: Context, judge: Judge) -> None:
    """Deletes leave nothing behind: no stack and no message."""
    judge(ledger(context), nothing_left)


@gate(
    "L3",
    guide=GUIDE,
    needs=(*NEEDS, "fault commands"),
    consent=Consent.INVASIVE,
    breaks=(Break("kill", "last", ("engine",)), Break("kill", "first", ("rest", "cfn"))),
)
def test_every_stack_is_accounted_for_while_parts_crash(context: Context, judge: Judge) -> None:
    """While engines and APIs crash and return, every accepted stack is accounted for.

    Each is complete, failed, or named as lost with the crashed engine that had accepted it.
    """
    judge(accounts(context), all_accounted_for)
