"""A12: what the CFN API needs of Heat's and Keystone's credentials."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.changes import group_place, of, option
from calorimeter.config.audit.model import Problem, Quote, Rule, Severity
from calorimeter.config.audit.subject import Subject
from calorimeter.config.heat.heat_conf import HeatConf


def _served(subject: Subject) -> Iterator[HeatConf]:
    if subject.serves_cfn:
        yield from subject.heat


def _trusts(subject: Subject) -> Iterator[Problem]:
    for conf in _served(subject):
        value = conf.get("deferred_auth_method")
        if value is None or value.text.strip() == "trusts":
            said = "is trusts" if value else "is not set: Heat takes trusts"
            yield Problem(
                of(value.entry) if value else group_place(conf),
                conf.host,
                f"deferred_auth_method {said}, and CFN is served",
                "Keystone makes no trust for a token that came from EC2 credentials: CFN CreateStack "
                "answers 500",
                (option(conf, "DEFAULT", "deferred_auth_method", "password"),),
            )


TRUSTS = Rule(
    "A12-cfn-trusts",
    Severity.WARNING,
    "CFN can create stacks",
    "set deferred_auth_method = password; templates whose resources act later for their user (Heat's own "
    "autoscaling, for one) then need the REST API and trusts on a Heat of their own",
    Quote("Select deferred auth method, stored password or trusts.", "Heat, help of deferred_auth_method"),
    _trusts,
)


def _ec2_credentials(subject: Subject) -> Iterator[Problem]:
    for conf in _served(subject):
        if conf.get("auth_type", "ec2authtoken") or conf.get("auth_section", "ec2authtoken"):
            continue
        copied = [
            option(conf, "ec2authtoken", key, value.entry.raw)
            for key in (
                "auth_type",
                "auth_url",
                "username",
                "password",
                "project_name",
                "user_domain_name",
                "project_domain_name",
            )
            if (value := conf.get(key, "keystone_authtoken"))
        ]
        yield Problem(
            group_place(conf, "ec2authtoken"),
            conf.host,
            "[ec2authtoken] has no credentials of Heat's own (auth_type, username, password)",
            "a Keystone of 2025 or later refuses to check EC2 signatures for strangers: every CFN request "
            "is refused",
            tuple(copied) if len(copied) > 3 else (),
        )


EC2_CREDENTIALS = Rule(
    "A12-ec2-credentials",
    Severity.WARNING,
    "heat-api-cfn may ask Keystone about EC2 signatures",
    "give [ec2authtoken] the service user of [keystone_authtoken]",
    Quote(
        "Using the legacy endpoint detection and API call without authentication. This may be rejected by "
        "keystone due to recent policy change.",
        "Heat, warning of heat-api-cfn",
    ),
    _ec2_credentials,
)


def _ec2_endpoint(subject: Subject) -> Iterator[Problem]:
    for conf in _served(subject):
        value = conf.get("endpoint_override", "ec2authtoken")
        if value and value.text.strip().rstrip("/").endswith(("/v3", "/v2.0")):
            root = value.entry.raw.strip().rstrip("/").rpartition("/")[0]
            yield Problem(
                of(value.entry),
                conf.host,
                f"endpoint_override ends in /{value.text.strip().rstrip('/').rpartition('/')[2]}",
                "Heat appends /v3/ec2tokens: Keystone answers 404 and every CFN request 500",
                (option(conf, "ec2authtoken", "endpoint_override", root),),
            )


EC2_ENDPOINT = Rule(
    "A12-ec2-endpoint",
    Severity.ERROR,
    "heat-api-cfn asks Keystone at its root URL",
    "take the version off the URL",
    Quote("v3/ec2tokens", "Heat, heat/api/aws/ec2token.py: the path it appends"),
    _ec2_endpoint,
)


def _policy(subject: Subject) -> Iterator[Problem]:
    for conf in _served(subject):
        value = conf.get("enforce_new_defaults", "oslo_policy")
        scope = conf.get("enforce_scope", "oslo_policy")
        if value is not None and not value.true and scope is not None and not scope.true:
            continue
        if conf.get("policy_file", "oslo_policy"):
            continue  # the owner's own policies: not told by this file
        yield Problem(
            of(value.entry) if value and value.true else group_place(conf, "oslo_policy"),
            conf.host,
            "the new default policies are enforced (oslo.policy's default since 2024), and CFN is served",
            "CFN gives the policy no project: every CFN request answers AccessDenied",
            (
                option(conf, "oslo_policy", "enforce_new_defaults", "false"),
                option(conf, "oslo_policy", "enforce_scope", "false"),
            ),
        )


POLICY = Rule(
    "A12-cfn-policy",
    Severity.WARNING,
    "The policies let CFN requests through",
    "set [oslo_policy] enforce_new_defaults = false and enforce_scope = false, or write policies for CFN",
    Quote(
        "This option controls whether or not to use old deprecated defaults when evaluating policies.",
        "oslo.policy, help of enforce_new_defaults",
    ),
    _policy,
)

RULES = (TRUSTS, EC2_CREDENTIALS, EC2_ENDPOINT, POLICY)
