"""`describe --keepalived`: the VRRP settings of several proxies."""

from __future__ import annotations

from pathlib import Path

import pytest

from calorimeter.config import keepalived_writer
from calorimeter.config.audit import Inputs
from calorimeter.config.describe.deployment_from_files import describe
from calorimeter.config.describe.owner_answers import Answers
from calorimeter.config.keepalived_writer import KeepalivedConfig
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError

FILE = "listen heat\n  bind 10.0.0.9:8004\n  server n1 10.0.0.2:8004\n"


def described(proxies: tuple[str, ...], *keepalived: str) -> Deployment:
    """The description of proxies that have one file."""
    inputs = Inputs(proxies=tuple((name, ((f"{name}.cfg", FILE),)) for name in proxies), heat=())
    answers = Answers(keepalived=keepalived)
    return describe(inputs, answers, folder=Path(), secrets_file="s.toml").deployment


def conf(folder: Path, name: str, priority: int) -> Path:
    """The keepalived.conf that the suite writes."""
    file = folder / f"{name}.conf"
    own = KeepalivedConfig(name, "eth0", "10.0.0.1", ("10.0.0.2",), "10.0.0.9", priority)
    file.write_text(keepalived_writer.render(own), encoding="utf-8")
    return file


def test_each_proxy_has_the_settings_of_its_own_file(tmp_path: Path) -> None:
    """By name; one without a file has none."""
    first, second = conf(tmp_path, "lb1", 102), conf(tmp_path, "lb2", 101)
    found = described(("lb1", "lb2"), f"lb1={first}", f"lb2={second}")
    assert [proxy.vrrp.priority for proxy in found.proxy if proxy.vrrp] == [102, 101]
    assert described(("lb1", "lb2"), f"lb1={first}").proxy[1].vrrp is None


def test_a_file_without_a_name_belongs_to_the_only_proxy(tmp_path: Path) -> None:
    """With several, the name is asked for."""
    file = conf(tmp_path, "lb1", 102)
    (only,) = described(("proxy",), str(file)).proxy
    assert only.vrrp is not None
    with pytest.raises(InputError, match="valid: lb1="):
        described(("lb1", "lb2"), str(file))
