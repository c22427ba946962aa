"""What a Heat process is: by its owner's word, by names and content of its files, by its neighbours."""

from __future__ import annotations

from pathlib import Path

import pytest

from calorimeter.config import named_files
from calorimeter.config.audit.subject import build
from calorimeter.config.heat import heat_conf
from calorimeter.config.heat.roles import with_roles
from calorimeter.core import deployment
from calorimeter.core.deployment import HeatRole
from calorimeter.core.errors import InputError

EVERY = "cfn engine rest"


def roles(*processes: str, text: str = "") -> list[str]:
    """The roles of processes that are given as HOST=FILE[,FILE…], all with one text."""
    confs = []
    for process in processes:
        host, _, files = process.partition("=")
        confs.append(heat_conf.parse(host, *((name, text) for name in files.split(","))))
    return [" ".join(sorted(conf.roles)) for conf in with_roles(confs, [None] * len(confs))]


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("heat-api.conf", "rest"),
        ("/etc/kolla/heat-api/heat.conf", "rest"),
        ("heat_api_cfn/heat-0.conf", "cfn"),
        ("etc/heat/heat-api-cfn.conf", "cfn"),
        ("ctl01-heat-engine.conf", "engine"),
        ("openstack-heat-engine/heat.conf", "engine"),
        ("/var/lib/config-data/puppet-generated/heat_api/etc/heat/heat.conf", "rest"),
        ("heat_api/heat-engine.conf", "engine"),
        ("heat-api-cloudwatch/heat.conf", ""),
        ("/etc/heat/heat.conf,/etc/heat/heat-engine.conf", "engine"),
        ("heat-api-heat-engine.conf", "engine rest"),
        ("/etc/heat/heat.conf", EVERY),
        ("heat-B.conf", EVERY),
        ("infra1_heat_api_container-1a2b/heat.conf", EVERY),
        ("tests/test_heat_engine_x0/heat.conf", EVERY),
        ("heat-api1.conf", EVERY),
    ],
)
def test_the_name_of_a_program_decides(file: str, expected: str) -> None:
    """A file or folder with the name of one of Heat's programs is of that program; others may be of any."""
    assert roles(f"B={file}") == [expected]


def test_the_log_file_decides_where_names_do_not() -> None:
    """`log_file` is named after the program in kolla's files."""
    text = "[DEFAULT]\nlog_dir = /var/log\nlog_file = $log_dir/heat-api-cfn.log\n"
    assert roles("B=heat.conf", text=text) == ["cfn"]
    assert roles("B=heat-engine.conf", text=text) == ["engine"]


def test_the_processes_of_one_machine_complement_one_another() -> None:
    """A process without a sign is what no other process of its machine is."""
    assert roles("c0=heat_api/h.conf", "c0=heat_api_cfn/h.conf", "c0=heat/h.conf", "c1=heat/h.conf") == [
        "rest",
        "cfn",
        "engine",
        EVERY,
    ]
    assert roles("c0=heat-api.conf", "c0=b.conf") == ["rest", "cfn engine"]
    assert roles("c0=a.conf", "c0=b.conf") == [EVERY, EVERY]


def test_the_only_group_of_an_api_decides_beside_other_processes() -> None:
    """[heat_api] alone makes a process the REST API only if its machine has another process."""
    confs = [
        heat_conf.parse("B", ("a.conf", "[heat_api]\nworkers = 2\n")),
        heat_conf.parse("B", ("b.conf", "[heat_api_cfn]\nworkers = 2\n")),
        heat_conf.parse("B", ("c.conf", "[DEFAULT]\nnum_engine_workers = 2\n")),
        heat_conf.parse("C", ("d.conf", "[heat_api]\nworkers = 2\n")),
    ]
    found = with_roles(confs, [None] * 4)
    assert [sorted(conf.roles) for conf in found] == [["rest"], ["cfn"], ["engine"], EVERY.split()]


def test_the_owners_word_has_precedence() -> None:
    """What the owner says is not changed by names, and counts for the others of the machine."""
    confs = [heat_conf.parse("B", (name, "")) for name in ("heat-api.conf", "b.conf")]
    said: frozenset[HeatRole] = frozenset({"cfn", "engine"})
    assert [sorted(conf.roles) for conf in with_roles(confs, [said, None])] == [["cfn", "engine"], ["rest"]]


@pytest.mark.parametrize(
    ("given", "host", "expected"),
    [
        ("ctl01=heat.conf", "ctl01", EVERY),
        ("ctl01:engine=heat.conf", "ctl01", "engine"),
        ("ctl01:rest,cfn=heat.conf,heat.conf", "ctl01", "cfn rest"),
        ("fd00::2=heat.conf", "fd00::2", EVERY),
        ("fd00::2:cfn=heat.conf", "fd00::2", "cfn"),
        ("[fd00::2]:engine,rest=heat.conf", "fd00::2", "engine rest"),
    ],
)
def test_roles_on_the_command_line(
    given: str, host: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`HOST:ROLE=FILE` says the roles; an IPv6 address may be the host."""
    monkeypatch.chdir(tmp_path)
    Path("heat.conf").write_text("[DEFAULT]\n")
    for inputs in (named_files.from_files([], [given]), named_files.from_files([], [], [given])):
        (conf,) = build(inputs).heat
        assert (conf.host, " ".join(sorted(conf.roles))) == (host, expected)


@pytest.mark.parametrize("given", ["ctl01:engin=heat.conf", "ctl01:=heat.conf", "fd00::2:api=heat.conf"])
def test_an_unknown_role_is_one_line(given: str) -> None:
    """A role that does not exist is bad input, with the valid ones."""
    with pytest.raises(InputError, match="valid: cfn, engine, rest") as refused:
        named_files.from_files([], [given])
    assert "\n" not in str(refused.value)


def test_roles_in_a_deployment_file(tmp_path: Path) -> None:
    """`roles` in [[heat_conf]] reaches the audit."""
    (tmp_path / "heat.conf").write_text("[DEFAULT]\n")
    file = tmp_path / "deployment.toml"
    file.write_text(
        'name = "x"\n[rest]\nurl = "http://10.0.0.1:8004/v1"\nproxy_section = "a"\n'
        '[[rest.backends]]\nname = "r"\naddress = "10.0.0.2:8004"\n'
        '[[heat_conf]]\nhost = "B"\nfiles = ["heat.conf"]\nroles = ["engine"]\n'
    )
    (conf,) = build(named_files.from_deployment(deployment.read(file))).heat
    assert conf.roles == {"engine"}
    file.write_text(file.read_text().replace('"engine"', '"engines"'))
    with pytest.raises(InputError, match="rest.*cfn.*engine"):
        deployment.read(file)
