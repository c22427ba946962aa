"""The options of deployments as they stand in the wild, judged by release."""

from __future__ import annotations

import pytest

from calorimeter.config.audit import Finding, HeatFiles, Inputs, Severity, audit
from tests.config.field.cases import case
from tests.config.field.stock_files import CHARM, DEVSTACK, HEAT_OPERATOR, HELM, KOLLA, OPENSTACK_ANSIBLE


def found(text: str, release: int | None = None) -> list[Finding]:
    """What the rules A10 find in one file."""
    inputs = Inputs(heat=(HeatFiles("n1", (("heat.conf", text),)),), heat_release=release)
    return list(audit(inputs).of("A10"))


def serious(text: str, release: int | None = None) -> set[tuple[str, int]]:
    """The rule and the line of each error and warning."""
    return {(finding.rule, finding.line) for finding in found(text, release) if finding.serious}


def line(text: str, wanted: str) -> int:
    """The number of the first line that starts with these words."""
    return [row.startswith(wanted) for row in text.split("\n")].index(True) + 1


def unknown(text: str, release: int | None = None) -> set[str]:
    """The names that no release knows."""
    rules = ("A10-option-unknown", "A10-group-unknown")
    rows = text.split("\n")
    return {rows[each.line - 1].partition(" =")[0] for each in found(text, release) if each.rule in rules}


@pytest.mark.parametrize("release", [None, 24, 25, 26, 27])
@pytest.mark.parametrize(
    ("text", "names"),
    [
        (KOLLA, set()),
        (OPENSTACK_ANSIBLE, {"endpoint_type", "insecure"}),
        (CHARM, {"instance_driver", "[ec2_authtoken]", "rabbit_durable_queues"}),
        (HELM, {"auth_version"}),
        (HEAT_OPERATOR, set()),
        (DEVSTACK, set()),
    ],
    ids=["kolla", "osa", "charm", "helm", "heat-operator", "devstack"],
)
def test_stock_files_have_no_error_and_only_truly_unknown_options(
    text: str, names: set[str], release: int | None
) -> None:
    """Every option of a tool's template is known, except those that Heat and its libraries never had."""
    assert unknown(text, release) == names
    assert [each for each in found(text, release) if each.severity is Severity.ERROR] == []


def test_stock_files_are_quiet_where_the_release_is_not_said() -> None:
    """The one warning is the charm's group [ec2_authtoken], which Heat never read."""
    texts = (KOLLA, OPENSTACK_ANSIBLE, CHARM, HELM, HEAT_OPERATOR, DEVSTACK)
    assert [serious(text) for text in texts] == [
        set(),
        set(),
        {("A10-group-unknown", line(CHARM, "[ec2_authtoken]"))},
        set(),
        set(),
        set(),
    ]


def test_heat_27_ignores_what_kolla_sets_for_ec2_tokens() -> None:
    """[ec2authtoken] auth_uri is gone, and its value lost; with heartbeat_in_pthread nothing is lost."""
    assert serious(KOLLA, 27) == {("A10-option-gone", line(KOLLA, "[ec2authtoken]") + 1)}
    assert serious(OPENSTACK_ANSIBLE, 27) == set()  # it has auth_type, too
    gone = {finding.line: finding for finding in found(KOLLA, 27)}[line(KOLLA, "heartbeat_in_pthread")]
    assert gone.severity is Severity.NOTE
    assert "Heat 27 no longer reads heartbeat_in_pthread in [oslo_messaging_rabbit]" in gone.says


def test_without_a_release_a_note_says_from_which_version_an_option_is_gone() -> None:
    """heartbeat_in_pthread left oslo.messaging between the versions of Heat 26 and 27."""
    (finding,) = found(KOLLA)
    assert (finding.rule, finding.severity) == ("A10-option-dropped", Severity.NOTE)
    assert finding.says == (
        "n1: oslo.messaging 18.3.0 (Heat 27) no longer reads heartbeat_in_pthread in "
        "[oslo_messaging_rabbit]; oslo.messaging 17.3.0 (Heat 26) still does"
    )


def test_a_misspelt_option_names_the_right_one() -> None:
    """openstack-helm's rabbit_quorum_queues was meant to be rabbit_quorum_queue."""
    text = HELM.replace("rabbit_quorum_queue = true", "rabbit_quorum_queues = true")
    assert serious(text) == {("A10-option-unknown", line(text, "rabbit_quorum_queues"))}
    says = [each.says for each in found(text) if each.serious]
    assert says == [
        "n1: neither Heat nor its libraries have an option rabbit_quorum_queues in "
        "[oslo_messaging_rabbit]; they have rabbit_quorum_queue"
    ]


@pytest.mark.parametrize(
    ("text", "rule", "severity", "part"),
    [
        ("[DEFAULT]\nconnection = x\n", "A10-option-unknown", "warning", "they have one in [database]"),
        ("[keystone_authtokens]\nusername = x\n", "A10-group-unknown", "warning", "[keystone_authtoken]"),
        ("[my_plugin]\nkey = x\n", "A10-group-unknown", "note", "[my_plugin]"),
        ("[DEFAULT]\nzzz = x\n", "A10-option-unknown", "note", "zzz"),
        ("[DEFAULT]\nnum_engine_workers = four\n", "A10-value-refused", "error", "not an integer"),
        ("[DEFAULT]\ndeferred_auth_method = trust\n", "A10-value-refused", "error", "password, trusts"),
        ("[heat_api]\nbind_port = 99999\n", "A10-value-refused", "error", "not a port number"),
        (
            "[DEFAULT]\nkombu_ssl_version = x\n",
            "A10-option-gone",
            "warning",
            "[oslo_messaging_rabbit] ssl_version",
        ),
        ("[DEFAULT]\nsql_connection = x\n", "A10-database-option-gone", "error", "[database] connection"),
        ("[DEFAULT]\nrabbit_host = x\n", "A10-broker-option-gone", "error", "transport_url"),
    ],
)
def test_one_wrong_setting(text: str, rule: str, severity: str, part: str) -> None:
    """Its rule, its severity and what it names."""
    (finding,) = found(text)
    assert (finding.rule, finding.severity.value) == (rule, severity)
    assert part in finding.says


@pytest.mark.parametrize(
    "text",
    [
        "[DEFAULT]\nnum_engine_workers =\n",
        "[DEFAULT]\nlog_file = $log_dir/x.log\n",
        "[DEFAULT]\nrpc_response_timeout = $stack_action_timeout\n",
        "[ec2authtoken.east]\nauth_url = http://10.0.0.1:5000\n",
        "[keystone_authtoken]\nauth_section = service\n[service]\nauth_type = password\nusername = heat\n",
        "[DEFAULT]\nnum_engine_workers = four\nnum_engine_workers = 4\n",
        "[database]\nmax_retries = -1\n[profiler]\nenabled = yes\n",
    ],
)
def test_settings_that_are_right(text: str) -> None:
    """Empty values, names of other options, groups that an option names, lines that later ones replace."""
    assert found(text) == []


def test_an_old_option_is_right_in_an_old_release() -> None:
    """Heat 20 still reads sql_connection, as an old name; Heat 21 has no queue manager yet."""
    (old,) = found("[DEFAULT]\nsql_connection = mysql://h/heat\n", 20)
    assert (old.rule, old.severity) == ("A10-option-renamed", Severity.NOTE)
    (early,) = found("[oslo_messaging_rabbit]\nuse_queue_manager = true\n", 21)
    assert early.rule == "A10-option-gone"
    assert "oslo.messaging 14.7.0 (Heat 22) is the first that does" in early.says


def test_a_release_older_than_the_table() -> None:
    """The options of Heat 11 are not judged, which is said once; those of Heat 12 are."""
    text = "[DEFAULT]\nzzz = 1\nsql_connection = mysql://h/heat\nrabbit_host = h\n"
    (finding,) = found(text, 11)
    assert (finding.rule, finding.severity) == ("A10-release-not-judged", Severity.NOTE)
    assert {each.rule for each in found(text, 12)} == {
        "A10-broker-option-gone",
        "A10-option-renamed",
        "A10-option-unknown",
    }


def test_leftovers_of_a_distribution_are_notes() -> None:
    """heat-dist.conf still has sql_connection and rpc_backend; heat.conf sets what replaced them."""
    assert {finding.severity for finding in case("c05").found("A10")} == {Severity.NOTE}


def test_default_in_lower_case_is_an_error() -> None:
    """[default] is not [DEFAULT]: Heat ignores all of its options."""
    (finding,) = case("c08").found("A10-default-group")
    assert (finding.severity, finding.line) == (Severity.ERROR, 1)
    assert "+[DEFAULT]" in finding.diff
    both = found("[DEFAULT]\nhost = a\n[default]\nhost = b\n")
    assert [each.diff for each in both if each.rule == "A10-default-group"] == [""]


def test_a_file_of_junos_time_on_a_heat_of_today() -> None:
    """Its broker is an error on each node; the old names of keystone's options are notes until Heat 27."""
    serious = {
        (finding.rule, finding.severity.value) for finding in case("h09").found("A10") if finding.serious
    }
    assert ("A10-broker-option-gone", "error") in serious
    assert {rule for rule, severity in serious if severity == "error"} == {"A10-broker-option-gone"}
    (dropped, *_) = case("h09").found("A10-option-dropped")
    assert "identity_uri (use auth_url)" in dropped.says


@pytest.mark.parametrize("name", ["h01", "c04", "c13", "h04"])
def test_field_cases_of_deployment_tools_have_no_error(name: str) -> None:
    """kolla's, OpenStack-Ansible's and TripleO's files are right."""
    assert [finding for finding in case(name).found("A10") if finding.serious] == []
