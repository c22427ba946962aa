"""The token of workers: private, made once, read only from a private file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from calorimeter.core.errors import InputError
from calorimeter.load.run.worker_token import WorkerToken, is_loopback, key_pair


def with_file(path: Path) -> WorkerToken:
    """A token that is kept in a file."""
    token = WorkerToken()
    token.file = path
    return token


def test_a_master_makes_its_file_once(tmp_path: Path) -> None:
    """The file is its owner's alone whatever the umask, and a worker and the next master read the same."""
    before = os.umask(0)
    try:
        made = with_file(tmp_path / "token").of_master("0.0.0.0")
    finally:
        os.umask(before)
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600
    assert len(made) >= 32
    assert with_file(tmp_path / "token").of_worker() == made
    assert with_file(tmp_path / "token").of_master("0.0.0.0") == made
    assert WorkerToken().of_master("127.0.0.1") != WorkerToken().of_master("127.0.0.1")


@pytest.mark.parametrize(
    ("content", "mode", "problem"),
    [
        (b"a" * 40, 0o644, "has mode 644; valid: 600"),
        (b"short", 0o600, "is not a token file; valid: 32 or more letters and digits"),
        (b"a" * 40 + b" " + b"b", 0o600, "is not a token file"),
        (b"\xff" * 40, 0o600, "is not a token file"),
        (b"a" * 5000, 0o600, "is too large to be read"),
    ],
)
def test_a_file_that_others_know_or_that_is_no_token_is_refused(
    tmp_path: Path, content: bytes, mode: int, problem: str
) -> None:
    """One line, for master and worker."""
    (tmp_path / "token").write_bytes(content)
    (tmp_path / "token").chmod(mode)
    for read in (
        with_file(tmp_path / "token").of_worker,
        lambda: with_file(tmp_path / "token").of_master("::1"),
    ):
        with pytest.raises(InputError, match=problem):
            read()


def test_a_worker_does_not_make_a_token(tmp_path: Path) -> None:
    """A worker needs its master's file, unless its master started it."""
    with pytest.raises(InputError, match="token: cannot be read"):
        with_file(tmp_path / "token").of_worker()
    with pytest.raises(InputError, match="^--worker: has no token; give --token-file FILE"):
        WorkerToken().of_worker()
    assert not (tmp_path / "token").exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "*", "::", "", "192.0.2.1", "2001:db8::1", "no such host"])
def test_other_machines_need_a_file(host: str) -> None:
    """A master that others can reach does not begin without a token that they can have."""
    assert not is_loopback(host)
    with pytest.raises(InputError, match="other machines can connect"):
        WorkerToken().of_master(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_this_machine_needs_none(host: str) -> None:
    """Loopback: workers inherit the token."""
    assert is_loopback(host)
    assert len(WorkerToken().of_master(host)) >= 32


def test_keys_follow_from_the_token_and_tell_master_and_worker_apart() -> None:
    """The same token gives the same keys everywhere; one of a worker does not make a master."""
    token = b"a" * 43
    assert key_pair(token, "master") == key_pair(token, "master")
    assert (
        len({*key_pair(token, "master"), *key_pair(token, "worker"), *key_pair(b"b" * 43, "worker")}) == 6
    )
