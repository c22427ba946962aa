"""Field cases: files of one process, options that differ by design, and files of every role."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.config.audit import Finding, HeatFiles, Inputs, Severity, audit
from calorimeter.config.audit.subject import build
from calorimeter.core.deployment import HeatRole
from tests.config.audit import clean
from tests.config.field.cases import case

HEAT_CASES = ("c02", "c03", "c04", "c05", "c13", "h01", "h04", "h09")
GATES = ("A3", "A4", "A11")


def of_heat(findings: tuple[Finding, ...]) -> set[tuple[str, str]]:
    """(severity, rule) of the findings of A3, A4 and A11."""
    return {(str(finding.severity), finding.rule) for finding in findings if finding.gate in GATES}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("c02", {("note", "A11-workers-unsaid")}),
        ("c03", {("note", "A11-engine-name-shared")}),
        ("c04", set()),
        ("c05", set()),
        ("c13", set()),
        ("h01", set()),
        ("h04", set()),
        ("h09", {("note", "A11-workers-unsaid"), ("warning", "A4-encryption-key-default")}),
    ],
)
def test_what_the_audit_says_of_the_heat_files(name: str, expected: set[tuple[str, str]]) -> None:
    """Correct files have no error, and options that differ by design no finding."""
    assert of_heat(case(name).audit().faults) == expected


@pytest.mark.parametrize("name", HEAT_CASES)
def test_no_error_of_cfn_and_no_change_that_makes_hosts_alike(name: str) -> None:
    """A12 has no error for stock files; no change sets a name, a key, a database or a broker."""
    faults = case(name).audit().faults
    assert not [fault for fault in faults if fault.gate == "A12" and fault.severity == Severity.ERROR]
    lines = [
        line for fault in faults if fault.gate in GATES for change in fault.changes for line in change.lines
    ]
    assert not lines


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("c13", ["rest", "cfn", "engine"] * 2),
        ("h01", ["rest", "cfn", "engine"]),
        ("h04", ["cfn engine rest"] * 3),
        ("c04", ["cfn engine rest"] * 3),
    ],
)
def test_roles_of_the_tools_files(name: str, expected: list[str]) -> None:
    """TripleO has one folder for each program (c13), kolla, too (h01); OSA and others one file for all."""
    heat = build(case(name).inputs()).heat
    assert [" ".join(sorted(conf.roles)) for conf in heat] == expected


def test_only_the_engine_has_workers() -> None:
    """kolla's API files do not set num_engine_workers; the engine has 5 (h01), RDO's overlay 6 (c05)."""
    assert [conf.engine_workers for conf in build(case("h01").inputs()).engines] == [5]
    assert [conf.engine_workers for conf in build(case("c05").inputs()).engines] == [6]
    assert [conf.engine_workers for conf in build(case("c02").inputs()).engines] == [None, None]


def test_cfn_credentials_are_asked_of_the_cfn_process() -> None:
    """kolla's [ec2authtoken] has a URL only: Keystone's correction of 2025 refuses that, so it is told."""
    faults = [fault for fault in case("h01").audit().faults if fault.gate == "A12"]
    assert {(fault.rule, fault.file.split("/")[-2]) for fault in faults} == {
        ("A12-ec2-credentials", "heat-api-cfn"),
        ("A12-cfn-policy", "heat-api-cfn"),
        ("A12-cfn-trusts", "heat-engine"),
    }


def test_equal_host_names_of_the_queue_manager_are_an_error() -> None:
    """OSA's files with one hostname for all machines: an error without a change."""
    inputs = case("c04").inputs()
    texts = {
        name: text.replace("infra2-heat", "infra1-heat")
        for name, text in inputs.texts.items()
        if name.endswith(".conf")
    }
    faults = [f for f in audit(inputs.with_texts(texts)).faults if f.gate == "A4"]
    assert [(fault.rule, fault.where, fault.changes) for fault in faults] == [
        ("A4-reply-queue-shared", "infra2", ())
    ]


# --- properties ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HEAT_CASES)
def test_the_order_of_the_processes_does_not_matter(name: str) -> None:
    """The findings about correct files are the same in any order of the files."""
    inputs = case(name).inputs()
    expected = sorted((fault.rule, fault.file, fault.line) for fault in case(name).audit().faults)
    heat = list(inputs.heat)
    random.Random(15).shuffle(heat)
    shuffled = replace(inputs, heat=tuple(heat))
    assert sorted((f.rule, f.file, f.line) for f in audit(shuffled).faults) == expected


READERS: dict[str, frozenset[HeatRole]] = {
    "auth_encryption_key": frozenset({"engine"}),
    "num_engine_workers": frozenset({"engine"}),
    "deferred_auth_method": frozenset({"engine"}),
    "connection": frozenset({"engine"}),
    "[heat_api]": frozenset({"rest"}),
    "[heat_api_cfn]": frozenset({"cfn"}),
    "[ec2authtoken]": frozenset({"cfn"}),
    "[keystone_authtoken]": frozenset({"rest", "cfn"}),
    "[oslo_policy]": frozenset({"rest", "cfn"}),
}
"""Option or group → the processes that read it; others are read by all."""


def part(text: str, role: HeatRole) -> str:
    """The lines of a file that a process of one role reads."""
    kept: list[str] = []
    group = ""
    for line in text.splitlines():
        group = line.strip() if line.startswith("[") else group
        key = line.partition("=")[0].strip()
        if all(role in READERS.get(name, {role}) for name in (group, key)):
            kept.append(line)
    return "\n".join(kept) + "\n"


def split(process: HeatFiles, *, said: bool) -> tuple[HeatFiles, ...]:
    """One process for each role, with the lines that it reads; its role is said or in the names."""
    roles: tuple[tuple[HeatRole, str], ...] = (
        ("rest", "heat-api"),
        ("cfn", "heat-api-cfn"),
        ("engine", "heat-engine"),
    )
    return tuple(
        HeatFiles(
            process.host,
            tuple(
                (f"{name.removesuffix('.conf')}-{role if said else program}.conf", part(text, role))
                for name, text in process.files
            ),
            frozenset({role}) if said else None,
        )
        for role, program in roles
    )


@settings(max_examples=12)
@given(st.booleans(), st.lists(st.booleans(), min_size=2, max_size=2), st.randoms(use_true_random=False))
def test_files_split_by_role_are_as_correct(said: bool, chosen: list[bool], draw: random.Random) -> None:
    """The clean deployment stays clean if some machines have a file for each role, in any order."""
    inputs = clean.inputs()
    heat = [
        each
        for process, divided in zip(inputs.heat, chosen, strict=True)
        for each in (split(process, said=said) if divided else (process,))
    ]
    draw.shuffle(heat)
    assert [(fault.rule, fault.says) for fault in audit(replace(inputs, heat=tuple(heat))).faults] == []


@pytest.mark.parametrize("name", ["c02", "c03", "c04", "h04"])
def test_field_files_split_by_role_have_no_new_serious_finding(name: str) -> None:
    """A role's file lacks what the role does not read, which is no fault."""
    inputs = case(name).inputs()
    # A file for the CFN API says that it is served, which the files of c02 and c03 do not say.
    gates = (*GATES, "A12") if build(inputs).serves_cfn else GATES

    def serious(given: Inputs) -> set[str]:
        return {fault.rule for fault in audit(given).faults if fault.serious and fault.gate in gates}

    divided = tuple(each for process in inputs.heat for each in split(process, said=True))
    assert serious(replace(inputs, heat=divided)) <= serious(inputs)


def test_copies_for_several_programs_of_one_machine_are_no_error() -> None:
    """Two files of one machine with equal addresses: warnings, and quiet once their roles are said."""
    text = "[DEFAULT]\ntransport_url = rabbit://u:p@10.0.0.9/\n[heat_api]\nbind_host = 10.0.0.1\n"
    text += "[heat_api_cfn]\nbind_host = 10.0.0.1\n"
    one, two = (("one.conf", text),), (("two.conf", text),)

    def severities(*heat: HeatFiles) -> list[str]:
        found = audit(Inputs(heat=heat)).faults
        return [str(fault.severity) for fault in found if fault.rule == "A1-address-shared"]

    assert severities(HeatFiles("c1", one), HeatFiles("c1", two)) == ["warning"] * 2
    assert severities(HeatFiles("c1", one), HeatFiles("c2", two)) == ["error"] * 2
    engine = frozenset({"engine"})
    assert severities(HeatFiles("c1", one), HeatFiles("c1", two, engine)) == []  # type: ignore[arg-type]
