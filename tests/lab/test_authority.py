"""The labs' certificate authority, and the certificates that it issues, verified by OpenSSL."""

from __future__ import annotations

import ssl
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from calorimeter.core.errors import InputError
from calorimeter.lab import authority
from calorimeter.lab.authority import Authority, ServerCertificate

NOW = datetime.now(UTC)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the authority in a state folder of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "calorimeter" / "authority" / "authority.pem"


@pytest.fixture
def own(kept: Path) -> Authority:
    """A new authority."""
    return authority.own()


def handshake(folder: Path, issued: ServerCertificate, trusted: bytes | None, name: str) -> str:
    """Connect to a server with this certificate in memory; the error of the client, empty if it trusts it.

    `trusted` is what the client verifies with, as strictly as Python 3.13 does.
    """
    for file, content in (("server.pem", issued.certificate), ("server.pem.key", issued.key)):
        (folder / file).write_bytes(content)
    at_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    at_server.load_cert_chain(folder / "server.pem", folder / "server.pem.key")
    at_client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if trusted:
        at_client.load_verify_locations(cadata=trusted.decode())
    at_client.verify_flags |= ssl.VERIFY_X509_STRICT
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = at_client.wrap_bio(down, up, server_hostname=name)
    server = at_server.wrap_bio(up, down, server_side=True)
    for end in (client, server, client, server):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError as problem:
            return str(problem.verify_message)
    return ""


def test_the_authority_is_made_once_and_only_its_owner_can_read_it(kept: Path) -> None:
    """The second lab uses the first one's authority."""
    first, second = authority.own(), authority.own()
    assert (first.made, second.made) == (True, False)
    assert first.pem == second.pem
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700


def test_one_process_makes_it_while_others_wait(kept: Path) -> None:
    """Labs that come up at the same time have one authority."""
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: authority.own(), range(8)))
    assert len({each.pem for each in found}) == 1
    assert [each.made for each in found].count(True) == 1


def test_it_is_remade_before_it_expires(kept: Path) -> None:
    """A certificate that is issued on its last day of use is valid to its own end."""
    first = authority.own()
    last = first.expires - authority.REMADE_BEFORE - timedelta(seconds=1)
    assert authority.own(last).pem == first.pem
    remade = authority.own(last + timedelta(seconds=1))
    assert remade.made
    assert remade.pem != first.pem
    assert remade.certificate.subject != first.certificate.subject
    assert last + authority.SERVER_VALID < first.expires


@pytest.mark.parametrize("name", ["127.0.0.1", "10.0.0.2", "localhost", "one.calorimeter.test"])
def test_clients_with_the_authority_trust_a_labs_servers(tmp_path: Path, own: Authority, name: str) -> None:
    """By address, as in a deployment file, and by name."""
    issued = authority.issue(own, "one", ("10.0.0.2",))
    assert handshake(tmp_path, issued, own.pem, name) == ""


@pytest.mark.parametrize("name", ["127.0.0.2", "two.calorimeter.test", "example.org"])
def test_a_certificate_is_for_its_own_lab_only(tmp_path: Path, own: Authority, name: str) -> None:
    """Another host or lab is not what it claims to be."""
    assert "mismatch" in handshake(tmp_path, authority.issue(own, "one", ()), own.pem, name)


def test_a_client_without_the_authority_refuses(tmp_path: Path, own: Authority) -> None:
    """Nobody else vouches for a lab."""
    issued = authority.issue(own, "one", ())
    assert "unable to get local issuer" in handshake(tmp_path, issued, None, "127.0.0.1")
    other = authority._make(NOW - timedelta(days=1))
    assert "unable to get local issuer" in handshake(tmp_path, issued, other.pem, "127.0.0.1")


def test_the_authority_can_vouch_for_nothing_but_labs(tmp_path: Path, own: Authority) -> None:
    """Who steals its key, or trusts it by mistake, has no certificate for another host."""
    issued = authority.issue(own, "one", ("192.0.2.1",))
    assert handshake(tmp_path, issued, own.pem, "192.0.2.1") == "permitted subtree violation"


def test_a_servers_certificate_expires(tmp_path: Path, own: Authority) -> None:
    """One of an old lab is not valid any more."""
    issued = authority.issue(own, "one", (), NOW - authority.SERVER_VALID - timedelta(minutes=1))
    assert handshake(tmp_path, issued, own.pem, "127.0.0.1") == "certificate has expired"


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n"])
def test_a_damaged_file_is_refused(own: Authority, kept: Path, content: bytes) -> None:
    """Its remedy is in the message."""
    kept.write_bytes(content)
    with pytest.raises(InputError, match="is damaged; remove it: `calorimeter lab up` makes another"):
        authority.own()


def test_a_key_of_another_certificate_is_refused(own: Authority, kept: Path) -> None:
    """Key and certificate belong to each other."""
    kept.write_bytes(authority._pem(authority._make(NOW).key) + own.pem)
    with pytest.raises(InputError, match="holds a key of another certificate"):
        authority.own()


def test_a_key_that_others_can_read_is_refused(own: Authority, kept: Path) -> None:
    """They could vouch for servers of their own."""
    kept.chmod(0o640)
    with pytest.raises(InputError, match="has mode 640; valid: 600"):
        authority.own()
