"""The run folder: the copies that it keeps, and the errors for damaged ones."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from calorimeter.core import deployment
from calorimeter.core.errors import InputError
from calorimeter.core.recorded.rundir import RunDir

DEPLOYMENT = """\
name = "kept"
[rest]
url = "http://10.0.0.1:8004/v1"
proxy_section = "rest_api_proxy"
backends = [{ name = "rest-1", address = "10.0.0.2:8004" }]
[[proxy]]
name = "left/right"
config = ["haproxy.cfg", "elsewhere.cfg"]
"""

CONFIG = """\
listen rest_api_proxy
    bind 10.0.0.1:8004
    stats auth admin:swordfish
    http-check send hdr X-Auth-Token gAAAAABtoken
    http-check send hdr Authorization "Basic c2VjcmV0"
userlist us
    user op insecure-password swordfish
"""


@pytest.fixture
def created(tmp_path: Path) -> RunDir:
    """A run folder of a deployment with a proxy, one of whose two configuration files exists."""
    (tmp_path / "deployment.toml").write_text(DEPLOYMENT)
    (tmp_path / "haproxy.cfg").write_text(CONFIG)
    described = deployment.read(tmp_path / "deployment.toml")
    return RunDir.create(described, runs=tmp_path / "runs", name="load")


def test_the_proxys_configuration_is_kept_without_its_passwords(created: RunDir) -> None:
    """run.json names the masked copy and its hash, and why a file could not be copied."""
    first, second = created.about["proxy_config"]
    kept = (created.path / first["copy"]).read_bytes()
    assert first["copy"] == "proxy/left_right-0.cfg"
    assert first["sha256"] == hashlib.sha256(kept).hexdigest()
    assert b"bind 10.0.0.1:8004" in kept
    for secret in (b"swordfish", b"gAAAAABtoken", b"c2VjcmV0"):
        assert secret not in kept
    assert second == {
        "proxy": "left/right",
        "file": "elsewhere.cfg",
        "unavailable": "cannot be read (No such file or directory)",
    }


def test_a_created_run_can_be_opened(created: RunDir) -> None:
    """`open` accepts what `create` writes."""
    assert RunDir.open(created.path).about["deployment"] == "kept"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"id": None}, "run.json: id is None; valid: a text"),
        ({"commands": "calorimeter"}, "run.json: commands is 'calorimeter'; valid: a list"),
        ({"environment": []}, "run.json: environment is []; valid: a table"),
        ({"schema_version": 2}, "run.json: schema_version 2; valid: 1"),
    ],
)
def test_a_wrong_key_in_run_json_is_one_line(created: RunDir, changes: dict[str, Any], line: str) -> None:
    """The error names the key, its value and what is valid."""
    (created.path / "run.json").write_text(json.dumps(created.about | changes))
    with pytest.raises(InputError) as problem:
        RunDir.open(created.path)
    assert line in str(problem.value)
    assert "\n" not in str(problem.value)


def test_a_missing_key_in_run_json_is_one_line(created: RunDir) -> None:
    """The error names the missing key."""
    (created.path / "run.json").write_text('{"schema_version": 1}')
    with pytest.raises(InputError, match=r"run\.json: has no id"):
        RunDir.open(created.path)
