"""A12: the credentials and policies that the CFN API needs."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.model import Change, Finding, Quote, Rule, Severity, rule
from calorimeter.config.audit.patches.changes import at, at_group, at_option, set_option
from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.heat.heat_conf import HeatProcessConf
from calorimeter.config.heat.oslo import OptionValue

_CREDENTIALS = (
    "auth_type",
    "auth_url",
    "username",
    "password",
    "project_name",
    "project_id",
    "user_domain_name",
    "user_domain_id",
    "project_domain_name",
    "project_domain_id",
    "cafile",
    "insecure",
)
"""The options of a service user that logs in with a password."""

_FIRST_WITH_CREDENTIALS = 24
"""Older releases of Heat ask Keystone without credentials and have no option for them."""
_FIRST_WITH_NEW_POLICIES = 23
"""Older releases of Heat come with an oslo.policy that does not enforce the new default policies."""


def _cfn_confs(subject: AuditedFiles) -> tuple[HeatProcessConf, ...]:
    return subject.having("cfn") if subject.serves_cfn else ()


def _older_than(subject: AuditedFiles, release: int) -> bool:
    return subject.inputs.heat_release is not None and subject.inputs.heat_release < release


@rule(
    "A12-cfn-trusts",
    Severity.NOTE,
    remedy="create stacks through the REST API, or set deferred_auth_method = password on a Heat of their "
    "own for users of CFN: with it the REST API refuses templates whose resources act later for their "
    "user, unless the client sends the password",
    quote=Quote(
        "Select deferred auth method, stored password or trusts.", "Heat, help of deferred_auth_method"
    ),
)
def trusts(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """CFN can create stacks."""
    for conf in subject.engines if subject.serves_cfn else ():
        value = conf.get("deferred_auth_method")
        if value is None or value.text.strip() == "trusts":
            setting = "is trusts" if value else "is not set (Heat's default is trusts)"
            yield rule.finding(
                at_option(conf, value),
                conf.host,
                f"deferred_auth_method {setting}, and CFN is served",
                "Keystone creates no trust for a token from EC2 credentials: CFN CreateStack answers 500; "
                "signals and metadata of instances are not affected",
            )


@rule(
    "A12-ec2-credentials",
    Severity.WARNING,
    remedy="give [ec2authtoken] the service user of [keystone_authtoken]",
    quote=Quote(
        "Using the legacy endpoint detection and API call without authentication. This may be rejected by "
        "keystone due to recent policy change.",
        "Heat, warning of heat-api-cfn",
    ),
)
def ec2_credentials(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """heat-api-cfn may ask Keystone to check EC2 signatures."""
    if _older_than(subject, _FIRST_WITH_CREDENTIALS):
        return
    for conf in _cfn_confs(subject):
        multi = conf.get("multi_cloud", "ec2authtoken")
        if multi and multi.true:
            continue  # the credentials are those of [ec2authtoken.NAME]
        if conf.get("auth_type", "ec2authtoken") or conf.get("auth_section", "ec2authtoken"):
            continue
        yield rule.finding(
            at_group(conf, "ec2authtoken"),
            conf.host,
            "[ec2authtoken] has no credentials of Heat's own (auth_type, username, password)",
            "Keystone with the correction of CVE-2025-65073 (November 2025) checks EC2 signatures only for "
            "authenticated services: every CFN request is refused",
            _with_credentials(conf),
        )


def _with_credentials(conf: HeatProcessConf) -> list[Change]:
    """Copy the service user, and keep the URL in use; nothing if the file lacks one of them."""
    user = {key: value for key in _CREDENTIALS if (value := conf.get(key, "keystone_authtoken"))}
    root = _root(
        conf.get("auth_uri", "ec2authtoken") or conf.get("www_authenticate_uri", "keystone_authtoken")
    )
    login = user.get("auth_type")
    complete = {"auth_url", "username", "password"} <= user.keys() and user.keys() & {
        "project_name",
        "project_id",
    }
    if not login or login.text.strip() not in ("password", "v3password") or not complete or not root:
        return []
    copied = [set_option(conf, "ec2authtoken", key, value.entry.raw) for key, value in user.items()]
    if conf.get("endpoint_override", "ec2authtoken") is None:
        copied.append(set_option(conf, "ec2authtoken", "endpoint_override", root))
    return copied


def _root(value: OptionValue | None) -> str:
    """Keystone's URL without the path that Heat appends to it."""
    url = value.entry.raw.strip().rstrip("/") if value else ""
    for suffix in ("/ec2tokens", "/v3", "/v2.0"):
        url = url.removesuffix(suffix)
    return url


@rule(
    "A12-ec2-endpoint",
    Severity.ERROR,
    remedy="remove the version from the URL",
    quote=Quote("v3/ec2tokens", "Heat, heat/api/aws/ec2token.py: the path it appends"),
)
def ec2_endpoint(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """heat-api-cfn uses the root URL of Keystone."""
    for conf in _cfn_confs(subject):
        value = conf.get("endpoint_override", "ec2authtoken")
        url = value.text.strip().rstrip("/") if value else ""
        if value and url.endswith(("/v3", "/v2.0")):
            root = value.entry.raw.strip().rstrip("/").rpartition("/")[0]
            yield rule.finding(
                at(value.entry),
                conf.host,
                f"endpoint_override ends in /{url.rpartition('/')[2]}",
                "Heat appends /v3/ec2tokens: Keystone answers 404, and CFN answers every request with 500",
                [set_option(conf, "ec2authtoken", "endpoint_override", root)],
            )


@rule(
    "A12-cfn-policy",
    Severity.WARNING,
    remedy="set [oslo_policy] enforce_new_defaults = false for the CFN API, or write policies for CFN",
    quote=Quote(
        "This option controls whether or not to use old deprecated defaults when evaluating policies.",
        "oslo.policy, help of enforce_new_defaults",
    ),
)
def policy(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """The policies allow CFN requests."""
    for conf in _cfn_confs(subject):
        value = conf.get("enforce_new_defaults", "oslo_policy")
        if value is None and _older_than(subject, _FIRST_WITH_NEW_POLICIES):
            continue
        if value is not None and not value.true:
            continue
        if conf.get("policy_file", "oslo_policy") or conf.get("policy_dirs", "oslo_policy"):
            continue  # the owner's own policies, which are not in this file
        # In a file of other roles the option would also open the REST API to more users.
        certain = value is None and conf.roles == {"cfn"}
        yield rule.finding(
            at_option(conf, value, "oslo_policy"),
            conf.host,
            "the new default policies are enforced (oslo.policy's default since 2024), and CFN is served",
            "CFN passes no project to the policy: it answers every request with AccessDenied",
            [set_option(conf, "oslo_policy", "enforce_new_defaults", "false")] if certain else (),
        )
