"""A12: the credentials and policies that the CFN API needs."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.changes import at, at_group, at_option, set_option
from calorimeter.config.audit.model import Finding, Quote, Rule, Severity, rule
from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.heat.heat_conf import HeatProcessConf

_SERVICE_USER = (
    "auth_type",
    "auth_url",
    "username",
    "password",
    "project_name",
    "user_domain_name",
    "project_domain_name",
)


def _cfn_confs(subject: AuditedFiles) -> tuple[HeatProcessConf, ...]:
    return subject.heat if subject.serves_cfn else ()


@rule(
    "A12-cfn-trusts",
    Severity.WARNING,
    remedy="set deferred_auth_method = password; templates whose resources act later for their user "
    "(Heat's own autoscaling, for one) then need the REST API and trusts on a Heat of their own",
    quote=Quote(
        "Select deferred auth method, stored password or trusts.", "Heat, help of deferred_auth_method"
    ),
)
def trusts(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """CFN can create stacks."""
    for conf in _cfn_confs(subject):
        value = conf.get("deferred_auth_method")
        if value is None or value.text.strip() == "trusts":
            setting = "is trusts" if value else "is not set (Heat's default is trusts)"
            yield rule.finding(
                at_option(conf, value),
                conf.host,
                f"deferred_auth_method {setting}, and CFN is served",
                "Keystone creates no trust for a token from EC2 credentials: CFN CreateStack answers 500",
                [set_option(conf, "DEFAULT", "deferred_auth_method", "password")],
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
    for conf in _cfn_confs(subject):
        if conf.get("auth_type", "ec2authtoken") or conf.get("auth_section", "ec2authtoken"):
            continue
        copied = [
            set_option(conf, "ec2authtoken", key, value.entry.raw)
            for key in _SERVICE_USER
            if (value := conf.get(key, "keystone_authtoken"))
        ]
        yield rule.finding(
            at_group(conf, "ec2authtoken"),
            conf.host,
            "[ec2authtoken] has no credentials of Heat's own (auth_type, username, password)",
            "Keystone of 2025 or later checks EC2 signatures only for authenticated services: every CFN "
            "request is refused",
            copied if len(copied) > 3 else (),
        )


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
    remedy="set [oslo_policy] enforce_new_defaults = false and enforce_scope = false, or write policies "
    "for CFN",
    quote=Quote(
        "This option controls whether or not to use old deprecated defaults when evaluating policies.",
        "oslo.policy, help of enforce_new_defaults",
    ),
)
def policy(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """The policies allow CFN requests."""
    for conf in _cfn_confs(subject):
        defaults = conf.get("enforce_new_defaults", "oslo_policy")
        scope = conf.get("enforce_scope", "oslo_policy")
        if defaults is not None and not defaults.true and scope is not None and not scope.true:
            continue
        if conf.get("policy_file", "oslo_policy"):
            continue  # the owner's own policies, which are not in this file
        yield rule.finding(
            at_option(conf, defaults if defaults and defaults.true else None, "oslo_policy"),
            conf.host,
            "the new default policies are enforced (oslo.policy's default since 2024), and CFN is served",
            "CFN passes no project to the policy: it answers every request with AccessDenied",
            [
                set_option(conf, "oslo_policy", "enforce_new_defaults", "false"),
                set_option(conf, "oslo_policy", "enforce_scope", "false"),
            ],
        )
