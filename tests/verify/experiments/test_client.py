"""The `openstack` client's calls, with small programs in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from verify.evidence.unavailable import EvidenceUnavailable
from verify.experiments.client import _Client


def client(folder: Path, script: str, locked_out: str = "") -> _Client:
    """A client that is this shell script."""
    return _Client(
        ["sh", "-c", script, "openstack"], {"PATH": "/usr/bin:/bin"}, str(folder), lambda: locked_out
    )


def test_failed_call_keeps_its_last_word_and_whether_keystone_serves(tmp_path: Path) -> None:
    """Keystone is asked only after a call that failed."""
    good, bad = (
        client(tmp_path, "echo done", "away"),
        client(tmp_path, "echo a; echo b >&2; exit 1", "away"),
    )
    assert (good.stack("delete"), bad.stack("delete")) == ("done\n", "")
    assert [(c.calls[0].status, c.calls[0].said, c.calls[0].keystone) for c in (good, bad)] == [
        (0, "", ""),
        (1, "b", "away"),
    ]


def test_client_without_heats_commands_is_no_word_of_heat(tmp_path: Path) -> None:
    """The client is there, and its plugin for Heat is not."""
    lacking = client(tmp_path, "echo \"openstack: 'stack list' is not an openstack command.\" >&2; exit 2")
    with pytest.raises(EvidenceUnavailable, match="python-heatclient is not installed"):
        lacking.stack("list")
