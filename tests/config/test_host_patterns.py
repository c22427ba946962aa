"""One option names the Heat files of all hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from calorimeter.config.host_patterns import each_host
from calorimeter.core.errors import InputError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of two hosts in the working directory."""
    files = ("c1/heat-api/heat.conf", "c1/heat-engine/heat.conf", "c2/heat-engine/heat.conf", "c1.conf")
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("given", "processes"),
    [
        ("B=heat-b.conf", ["B=heat-b.conf"]),
        ("{host}={host}.conf", ["c1=c1.conf"]),
        ("{host}={host}/heat-engine/heat.conf", [f"c{n}=c{n}/heat-engine/heat.conf" for n in (1, 2)]),
        ("{host}:engine=c?/{host}/heat.conf", [
            "heat-api:engine=c1/heat-api/heat.conf",
            "heat-engine:engine=c1/heat-engine/heat.conf",
            "heat-engine:engine=c2/heat-engine/heat.conf",
        ]),
        ("{host}={host}/*/heat.conf", [
            "c1=c1/heat-api/heat.conf", "c1=c1/heat-engine/heat.conf", "c2=c2/heat-engine/heat.conf",
        ]),
        ("{host}={host}.conf,{host}/conf.d", ["c1=c1.conf,c1/conf.d"]),
    ],
)  # fmt: skip
def test_a_pattern_means_a_process_for_each_file(given: str, processes: list[str]) -> None:
    """`{host}` is the same name everywhere in the option."""
    assert list(each_host(given)) == processes


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("{host}=heat.conf", "valid: {host}=FILE with {host} in FILE, too"),
        ("{host}=none/{host}.conf", "no file matches none/{host}.conf"),
        ("{host}={host}/{host}/heat.conf", "no file matches"),
        ("{host}=[c/{host}.conf", "no file matches"),
    ],
)
def test_a_pattern_without_files_gets_one_line(given: str, line: str) -> None:
    """The line says what was given and what is valid."""
    with pytest.raises(InputError) as refused:
        list(each_host(given))
    assert line in str(refused.value)
