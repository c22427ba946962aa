"""The REST API as a table: everything that heat-api routes, and how a user performs it.

`route`, `method` and `handler` are those of heat-api's router; a test compares them with the installed
Heat, in both directions. Operations of more than one request are in `rest_actions` and `software`.
"""

from __future__ import annotations

from functools import partial

from calorimeter.load.operations import rest_actions, signals, software, stack_life
from calorimeter.load.operations.operation import Operation, Subject, Trait
from calorimeter.load.operations.rest_requests import (
    REDIRECTED,
    SingleRequest,
    changed_body,
    deployed_body,
    patched_body,
    preview_body,
    template_body,
)
from calorimeter.load.operations.subjects import (
    ABANDONED,
    COMPLETE,
    CONFIG,
    DEPLOYMENT,
    EVENT,
    HOLDS,
    NO_WAITS,
    OUTPUTS,
    SNAPSHOT,
    STACK,
    SUSPENDED,
    UNUSED_CONFIG,
    complete_but,
    has_room,
    operation,
)

S = "/stacks/{stack_name}/{stack_id}"
R = f"{S}/resources/{{resource_name}}"
BY_NAME = "/stacks/{stack_name}"
BY_ARN = r"/stacks/{stack_name:arn\x3A.*}"

row = partial(operation, "rest")


def read(
    name: str,
    route: str,
    handler: str,
    subject: Subject | None = None,
    begins: str = "{",
    query: str = "",
    trait: Trait | None = None,
) -> Operation:
    """A GET whose answer must begin with `begins`."""
    return row(
        name, "GET", route, handler, SingleRequest(query=query, begins=begins), subject=subject, trait=trait
    )


def lookup(name: str, method: str, route: str, follow: bool = False) -> Operation:
    """A request on a stack by its name or ARN: the answer is 302 with its address, and nothing is done.

    With `follow`, the user reads the address too, as a client would (`redirected`).
    """
    perform = SingleRequest(path=BY_ARN_PATH if route == BY_ARN else "", begins="", follow=follow)
    return row(name, method, route, "lookup", perform, 302, subject=STACK, repeatable=True)


BY_ARN_PATH = "/stacks/{arn}"

LISTS = (
    row("list", "GET", "/stacks", "index", stack_life.list_stacks),
    read("list-filtered", "/stacks", "index", None, '{"stacks": [',
         "status=COMPLETE&action=CREATE&sort_keys=created_at&sort_dir=desc&limit=20"),
    row("list-pages", "GET", "/stacks", "index", rest_actions.list_pages),
    read("list-tags", "/stacks", "index", None, '{"stacks": [', "tags=calorimeter&limit=20"),
    read("list-count", "/stacks", "index", None, '{"stacks": [', "with_count=true&limit=1"),
    read("list-nested", "/stacks", "index", None, '{"stacks": [', "show_nested=true&limit=20"),
    read("list-deleted", "/stacks", "index", None, '{"stacks": [', "show_deleted=true&limit=20"),
    read("detail", "/stacks/detail", "detail", None, '{"stacks": ['),
)  # fmt: skip

STACKS = (
    row("create", "POST", "/stacks", "create", stack_life.create, 201,
        gives=(STACK, COMPLETE), possible=has_room),
    row("adopt", "POST", "/stacks", "create", rest_actions.adopt, 201, subject=ABANDONED,
        gives=(STACK, COMPLETE), possible=lambda actor: has_room(actor) and bool(ABANDONED.of(actor))),
    row("preview", "POST", "/stacks/preview", "preview",
        SingleRequest(body=preview_body, begins='{"stack": {')),
    row("show", "GET", S, "show", stack_life.show, subject=STACK),
    row("update", "PUT", S, "update", rest_actions.update, 202, subject=COMPLETE, gives=(COMPLETE,),
        repeatable=False),
    row("update-patch", "PATCH", S, "update_patch", rest_actions.update, 202,
        subject=COMPLETE, gives=(COMPLETE,)),
    row("preview-update", "PUT", f"{S}/preview", "preview_update",
        SingleRequest(body=changed_body, begins='{"resource_changes": {'), subject=COMPLETE),
    row("preview-update-patch", "PATCH", f"{S}/preview", "preview_update_patch",
        SingleRequest(body=patched_body, begins='{"resource_changes": {'),
        subject=COMPLETE, repeatable=True),
    row("delete", "DELETE", S, "delete", stack_life.delete, 204, subject=STACK, repeatable=True),
    row("abandon", "DELETE", f"{S}/abandon", "abandon", rest_actions.abandon,
        subject=COMPLETE, gives=(ABANDONED,)),
    read("export", f"{S}/export", "export", COMPLETE),
    read("template", f"{S}/template", "template", STACK),
    read("environment", f"{S}/environment", "environment", STACK),
    read("files", f"{S}/files", "files", STACK),
    read("outputs", f"{S}/outputs", "list_outputs", STACK, '{"outputs": ['),
    read("output", f"{S}/outputs/{{output_key}}", "show_output", COMPLETE, '{"output": {', trait=OUTPUTS),
)  # fmt: skip

LOOKUPS = (
    lookup("show-by-name", "GET", BY_NAME, follow=True),
    lookup("show-by-arn", "GET", BY_ARN, follow=True),
    *(
        lookup(f"lookup-{method.lower()}-by-{by}", method, route)
        for method in ("POST", "PUT", "PATCH", "DELETE")
        for by, route in (("name", BY_NAME), ("arn", BY_ARN))
    ),
    *(
        lookup(f"{path}-by-name", "GET", f"{BY_NAME}/{path}", follow=path != "actions")
        for path in ("resources", "events", "template", "actions", "environment", "files")
    ),
    *(
        lookup(f"lookup-post-{path}", "POST", f"{BY_NAME}/{path}")
        for path in ("resources", "events", "template", "actions")
    ),
)

ACTIONS = (
    row("suspend", "POST", f"{S}/actions", "suspend", rest_actions.action,
        subject=COMPLETE, gives=(SUSPENDED,)),
    row("resume", "POST", f"{S}/actions", "resume", rest_actions.action,
        subject=SUSPENDED, gives=(COMPLETE,)),
    row("check", "POST", f"{S}/actions", "check", rest_actions.action, 200, 201,
        subject=complete_but("CHECK_COMPLETE"), gives=(COMPLETE,)),
    row("cancel-update", "POST", f"{S}/actions", "cancel_update", rest_actions.cancel_update,
        subject=COMPLETE, gives=(COMPLETE,), trait=HOLDS),
    row("cancel-without-rollback", "POST", f"{S}/actions", "cancel_without_rollback",
        rest_actions.cancel_without_rollback, subject=COMPLETE, gives=(COMPLETE,), trait=HOLDS),
)  # fmt: skip

SNAPSHOTS = (
    row("snapshot", "POST", f"{S}/snapshots", "snapshot", rest_actions.snapshot,
        subject=complete_but("SNAPSHOT_COMPLETE"), gives=(SNAPSHOT,)),
    read("snapshots", f"{S}/snapshots", "list_snapshots", STACK, '{"snapshots": ['),
    read("snapshot-show", f"{S}/snapshots/{{snapshot_id}}", "show_snapshot", SNAPSHOT, '{"snapshot": {'),
    row("snapshot-delete", "DELETE", f"{S}/snapshots/{{snapshot_id}}", "delete_snapshot",
        rest_actions.snapshot_delete, 204, subject=SNAPSHOT, repeatable=True),
    row("snapshot-restore", "POST", f"{S}/snapshots/{{snapshot_id}}/restore", "restore_snapshot",
        rest_actions.snapshot_restore, 202, subject=rest_actions.RESTORABLE, gives=(COMPLETE,),
        trait=NO_WAITS),
)  # fmt: skip

RESOURCES = (
    read("resources", f"{S}/resources", "index", STACK, '{"resources": ['),
    read("resource", R, "show", COMPLETE, '{"resource": {'),
    read("resource-metadata", f"{R}/metadata", "metadata", COMPLETE, '{"metadata": '),
    signals.SIGNAL,
    row("mark-unhealthy", "PATCH", R, "mark_unhealthy", rest_actions.mark_unhealthy, subject=COMPLETE),
    read("events", f"{S}/events", "index", STACK, '{"events": ['),
    row("resource-events", "GET", f"{R}/events", "index", rest_actions.resource_events,
        subject=COMPLETE, gives=(EVENT,)),
    read("event", f"{S}/resources/{{resource_name}}/events/{{event_id}}", "show", EVENT, '{"event": {'),
)  # fmt: skip

CONFIGS = "/software_configs"
DEPLOYMENTS = "/software_deployments"

SOFTWARE = (
    read("configs", CONFIGS, "index", None, '{"software_configs": [', "limit=20"),
    row("config-create", "POST", CONFIGS, "create", software.config_create,
        gives=(CONFIG, UNUSED_CONFIG), possible=software.has_room),
    read("config", f"{CONFIGS}/{{config_id}}", "show", CONFIG, '{"software_config": {'),
    row("config-delete", "DELETE", f"{CONFIGS}/{{config_id}}", "delete", software.config_delete, 204,
        subject=UNUSED_CONFIG),
    read("deployments", DEPLOYMENTS, "index", None, '{"software_deployments": [', "server_id={server_id}"),
    read("deployment-metadata", f"{DEPLOYMENTS}/metadata/{{server_id}}", "metadata", None,
         '{"metadata": ['),
    row("deployment-create", "POST", DEPLOYMENTS, "create", software.deployment_create,
        subject=CONFIG, gives=(DEPLOYMENT,)),
    read("deployment", f"{DEPLOYMENTS}/{{deployment_id}}", "show", DEPLOYMENT, '{"software_deployment": {'),
    row("deployment-update", "PUT", f"{DEPLOYMENTS}/{{deployment_id}}", "update",
        SingleRequest(body=deployed_body, begins='{"software_deployment": {'), subject=DEPLOYMENT),
    row("deployment-delete", "DELETE", f"{DEPLOYMENTS}/{{deployment_id}}", "delete",
        software.deployment_delete, 204, subject=DEPLOYMENT),
)  # fmt: skip

OTHER = (
    row("validate", "POST", "/validate", "validate_template",
        SingleRequest(body=template_body), repeatable=True),
    read("resource-types", "/resource_types", "list_resource_types", None, '{"resource_types": ['),
    read("resource-schema", "/resource_types/{type_name}", "resource_schema"),
    read("resource-template", "/resource_types/{type_name}/template", "generate_template", None, "{",
         "template_type=hot"),
    read("template-versions", "/template_versions", "list_template_versions", None,
         '{"template_versions": ['),
    read("template-functions", "/template_versions/{template_version}/functions",
         "list_template_functions", None, '{"template_functions": ['),
    read("build-info", "/build_info", "build_info"),
    read("services", "/services", "index", None, '{"services": ['),
    row("versions", "GET", "/", "versions", rest_actions.versions, 300),
)  # fmt: skip

PARTS = (
    stack_life.WAIT["rest"],
    stack_life.GONE["rest"],
    signals.HANDLE_WAIT,
    signals.OUTPUTS,
    REDIRECTED,
    rest_actions.MARK_HEALTHY,
    rest_actions.HELD_UPDATE,
    rest_actions.REPAIR,
)
"""Requests that are part of other operations and are in no mix."""

OPERATIONS = (
    *(*LISTS, *STACKS, *LOOKUPS, *ACTIONS, *SNAPSHOTS, *RESOURCES, *SOFTWARE, *OTHER),
    *PARTS,
)

NOT_ROUTED = {"versions": "the negotiation of versions answers it in front of the router"}
"""Operations that no router of heat-api has, with the reason."""
