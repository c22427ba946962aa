"""An https front that clients cannot use is one clear line before any gate, with real certificates."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from calorimeter.core import deployment as deployments
from calorimeter.core import files, tls_front
from calorimeter.core.deployment import Api, Backend, Tls
from calorimeter.core.errors import InputError
from calorimeter.gates import doctor
from calorimeter.lab import authority
from tests.gates.small_proxy import small_proxy

pytestmark = pytest.mark.lab

NOW = datetime.now(UTC)
OLD = "ssl-min-ver TLSv1.0 ssl-max-ver TLSv1.1 ciphers DEFAULT:@SECLEVEL=0"


@pytest.fixture
def issued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Path, Path]]:
    """Issues a server certificate: its file with the key, and that of the authority.

    `now` is when the authority issues it, `names` whether it is for 127.0.0.1.
    """
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def issue(now: datetime = NOW, *, here: bool = True, trusted: bool = True) -> tuple[Path, Path]:
        own = authority.own()
        given = authority.issue(own, "small", ["127.0.0.1" if here else "127.0.0.9"], now)
        pem = given.certificate if here else _elsewhere(own, now)
        pem, key = (pem, given.key) if here else pem
        server, ca = tmp_path / "server.pem", tmp_path / "ca.pem"
        files.write(server, pem + key, mode=files.PRIVATE)
        shown = own if trusted else authority._make(NOW)
        files.write(ca, shown.pem)
        return server, ca

    return issue


def _elsewhere(own: authority.Authority, now: datetime) -> tuple[bytes, bytes]:
    """A certificate for another address alone, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName("heat.calorimeter.test")])
    builder = authority._builder("small", key.public_key(), own.certificate.subject, now, timedelta(days=1))
    signed = builder.add_extension(names, critical=False).sign(own.key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM), authority._pem(key)


CASES = {
    "expired": ({"now": NOW - timedelta(days=60)}, "", "expired on "),
    "not yet valid": ({"now": NOW + timedelta(days=2)}, "", "begins on "),
    "wrong name": ({"here": False}, "", "is for heat.calorimeter.test, not for 127.0.0.1; valid: "),
    "unknown authority": ({"trusted": False}, "", "is issued by CN=Calorimeter labs "),
    "old protocol": ({}, OLD, " speaks TLS 1.1 at most; valid: TLS 1.2 or later"),
}


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The line with which a command refuses its input."""
    return next(line for line in done.stderr.splitlines() if line.startswith("calorimeter: "))


@pytest.mark.parametrize("name", CASES)
def test_a_front_that_clients_cannot_use_is_refused(
    name: str, tmp_path: Path, issued: Callable[..., tuple[Path, Path]]
) -> None:
    """By verify (status 2, before any gate) and by doctor: where, what was found, what is valid."""
    given, versions, said = CASES[name]
    server, ca = issued(**given)
    with small_proxy(tmp_path, certificate=server, authority=ca, versions=versions) as at:
        command = [sys.executable, "-m", "calorimeter", "verify", str(at.file), "--gates", "P1"]
        command += ["--runs", str(tmp_path / "runs")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        shown = {part.name: part for part in doctor.examine(deployments.read(at.file))}["rest"]
    assert done.returncode == 2, done.stderr
    line = refusal(done)
    assert line.startswith(f"calorimeter: {at.file}: rest.url: ")
    assert f"https://127.0.0.1:{at.front}/v1" in line
    assert said in line
    assert not list(tmp_path.glob("runs/*/verdicts.json"))
    assert shown.state == "unreachable"
    assert said in shown.found


def test_a_front_that_clients_can_use_is_judged(
    tmp_path: Path, issued: Callable[..., tuple[Path, Path]]
) -> None:
    """Nothing is refused then; nor if certificates are not to be verified."""
    server, ca = issued()
    with small_proxy(tmp_path, certificate=server, authority=ca) as at:
        url = f"https://127.0.0.1:{at.front}/v1"
        front = Api(url=url, proxy_section="r", backends=(Backend(name="a", address="127.0.0.1:1"),)).front
        tls_front.check("here", url, front, Tls(ca_file=ca))
        tls_front.check("here", url, front, Tls(verify=False))
        with pytest.raises(InputError, match="unable to get local issuer certificate"):
            tls_front.check("here", url, front, Tls())


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: None, "cannot be read"),
        (lambda path: path.write_text(" \n"), "is empty"),
        (lambda path: path.write_text("no certificate"), "cannot be used"),
        (os.mkfifo, "is a pipe"),
        (os.mkdir, "is a folder"),
    ],
)
def test_authorities_that_cannot_be_used_are_named(
    tmp_path: Path, make: Callable[[Path], None], why: str
) -> None:
    """A pipe is not waited for, and an empty file does not mean the system's authorities."""
    path = tmp_path / "ca.pem"
    make(path)
    with pytest.raises(InputError, match=why) as refused:
        tls_front.verifying(Tls(ca_file=path))
    assert str(path) in str(refused.value)


def test_a_front_without_tls_is_named(tmp_path: Path) -> None:
    """`https` in the URL of a front that speaks plain HTTP."""
    with small_proxy(tmp_path) as at:
        url = f"https://127.0.0.1:{at.front}/v1"
        front = Api(url=url, proxy_section="r", backends=(Backend(name="a", address="127.0.0.1:1"),)).front
        with pytest.raises(InputError, match="does not speak TLS"):
            tls_front.check("here", url, front, Tls())
