"""The CFN API as a table: every action of heat-api-cfn, and the signals of wait conditions."""

from __future__ import annotations

from collections.abc import Callable

from calorimeter.load.operations import cfn_actions, signals, stack_life
from calorimeter.load.operations.cfn_actions import Ask, logical_resource, stack_name, template_body
from calorimeter.load.operations.operation import Actor, Operation, Subject, Trait, always
from calorimeter.load.operations.subjects import COMPLETE, HOLDS, STACK, exists, has_room, with_trait


def row(
    name: str,
    handler: str,
    perform: Callable[[Actor, Operation], None],
    *expected: int,
    subject: Subject | None = None,
    trait: Trait | None = None,
    gives: tuple[Subject, ...] = (),
    repeatable: bool = True,
    possible: Callable[[Actor], bool] | None = None,
) -> Operation:
    """An action: possible where its subject exists."""
    if subject is not None and trait is not None:
        subject = with_trait(subject, trait)
    return Operation(
        "cfn",
        name,
        frozenset(expected or (200,)),
        repeatable,
        perform,
        possible or (exists(subject) if subject else always),
        "POST",
        "/",
        handler,
        subject,
        gives,
        trait,
    )


ACTIONS = (
    row("ListStacks", "list", stack_life.list_stacks),
    row("CreateStack", "create", stack_life.create,
        gives=(STACK, COMPLETE), repeatable=False, possible=has_room),
    row("UpdateStack", "update", cfn_actions.update, subject=COMPLETE, gives=(COMPLETE,), repeatable=False),
    row("CancelUpdateStack", "cancel_update", cfn_actions.cancel_update,
        subject=COMPLETE, gives=(COMPLETE,), repeatable=False, trait=HOLDS),
    row("DeleteStack", "delete", stack_life.delete, subject=STACK),
    row("DescribeStacks", "describe", stack_life.show, subject=STACK),
    row("DescribeStackEvents", "events_list", Ask("StackEvents", stack_name), subject=STACK),
    row("DescribeStackResource", "describe_stack_resource",
        Ask("StackResourceDetail", stack_name, logical_resource), subject=COMPLETE),
    row("DescribeStackResources", "describe_stack_resources",
        Ask("StackResources", stack_name), subject=STACK),
    row("ListStackResources", "list_stack_resources",
        Ask("StackResourceSummaries", stack_name), subject=STACK),
    row("GetTemplate", "get_template", Ask("TemplateBody", stack_name), subject=STACK),
    row("ValidateTemplate", "validate_template", Ask("ValidateTemplateResult", template_body)),
    row("EstimateTemplateCost", "estimate_template_cost", Ask("Url", template_body)),
)  # fmt: skip

PARTS = (
    stack_life.WAIT["cfn"],
    stack_life.GONE["cfn"],
    cfn_actions.HELD,
)
"""What happens as part of other operations and is in no mix."""

OPERATIONS = (*ACTIONS, signals.SIGNAL_WAIT_CONDITION, signals.SIGNAL_RESOURCE, *PARTS)

BROKEN = {
    "DescribeStackEvents": "Heat 24 answers every one with 500 (KeyError: ResourceProperties): its engine "
    "no longer gives what its CFN API looks for",
}
"""Actions that Heat routes and that do not work, with the reason: offered, and in no scenario here."""

NOT_OFFERED = {
    "/stacks": "routed by a generic call, without an action behind it: Heat answers InvalidAction or fails",
    "/": "without an Action that there is: Heat answers InvalidAction",
}
"""Routes of heat-api-cfn that are no operations, by the beginning of their path, with the reason."""
