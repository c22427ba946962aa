"""The CFN API as a table: every action of heat-api-cfn, and the signals of wait conditions."""

from __future__ import annotations

from functools import partial

from calorimeter.load.operations import cfn_actions, signals, stack_life
from calorimeter.load.operations.cfn_actions import (
    SingleAction,
    logical_resource,
    stack_name,
    template_body,
)
from calorimeter.load.operations.subjects import COMPLETE, HOLDS, STACK, has_room, operation

row = partial(operation, "cfn")
POST = ("POST", "/")

ACTIONS = (
    row("ListStacks", *POST, "list", stack_life.list_stacks),
    row("CreateStack", *POST, "create", stack_life.create,
        gives=(STACK, COMPLETE), repeatable=False, possible=has_room),
    row("UpdateStack", *POST, "update", cfn_actions.update,
        subject=COMPLETE, gives=(COMPLETE,), repeatable=False),
    row("CancelUpdateStack", *POST, "cancel_update", cfn_actions.cancel_update,
        subject=COMPLETE, gives=(COMPLETE,), repeatable=False, trait=HOLDS),
    row("DeleteStack", *POST, "delete", stack_life.delete, subject=STACK),
    row("DescribeStacks", *POST, "describe", stack_life.show, subject=STACK),
    row("DescribeStackEvents", *POST, "events_list",
        SingleAction("StackEvents", stack_name), subject=STACK),
    row("DescribeStackResource", *POST, "describe_stack_resource",
        SingleAction("StackResourceDetail", stack_name, logical_resource), subject=COMPLETE),
    row("DescribeStackResources", *POST, "describe_stack_resources",
        SingleAction("StackResources", stack_name), subject=STACK),
    row("ListStackResources", *POST, "list_stack_resources",
        SingleAction("StackResourceSummaries", stack_name), subject=STACK),
    row("GetTemplate", *POST, "get_template", SingleAction("TemplateBody", stack_name), subject=STACK),
    row("ValidateTemplate", *POST, "validate_template",
        SingleAction("ValidateTemplateResult", template_body)),
    row("EstimateTemplateCost", *POST, "estimate_template_cost", SingleAction("Url", template_body)),
)  # fmt: skip

PARTS = (
    stack_life.WAIT["cfn"],
    stack_life.GONE["cfn"],
    cfn_actions.HELD_UPDATE,
)
"""Requests that are part of other operations and are in no mix."""

OPERATIONS = (*ACTIONS, signals.SIGNAL_WAIT_CONDITION, signals.SIGNAL_RESOURCE, *PARTS)

BROKEN = {
    "DescribeStackEvents": "Heat 24 answers every one with 500 (KeyError: ResourceProperties): its engine "
    "no longer returns a field that its CFN API reads",
}
"""Actions that Heat routes but that always fail, with the reason; no scenario here uses them."""

NOT_OFFERED = {
    "/stacks": "a generic route without an action: Heat answers InvalidAction or fails",
    "/": "a request with an unknown Action: Heat answers InvalidAction",
}
"""Routes of heat-api-cfn that are not operations, by the beginning of their path, with the reason."""
