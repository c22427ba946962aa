"""The waits of P5, through a real HAProxy."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from calorimeter.core import deployment
from calorimeter.core.deployment import Address, Clients
from calorimeter.core.expect import Expect
from calorimeter.core.verdict import Outcome
from calorimeter.gates.context import Context, Settings
from calorimeter.gates.evidence.stats_sources import proxy_stats
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.proxy.timeout_waits import source_of, timeouts, upload_without_body
from calorimeter.gates.proxy.timeouts import timeouts_as_described
from tests.gates.small_proxy import small_proxy


def test_path_of_an_upload_is_that_of_the_url() -> None:
    """Also if the URL leaves its port to the scheme."""
    front = Address(host="heat.example", port=443)
    lines = upload_without_body(front, "https://heat.example/v1/p/stacks", "text/plain", "X-Auth-Token: t")
    assert lines.split(b"\r\n") == [
        b"POST /v1/p/stacks HTTP/1.1",
        b"Host: heat.example:443",
        b"Content-Type: text/plain",
        b"Content-Length: 64",
        b"X-Auth-Token: t",
        b"",
        b"",
    ]


@contextmanager
def small(
    folder: Path, mode: str, certificate: Path | None = None, sources: int = 1000
) -> Iterator[Context]:
    """A proxy with `timeout client 400ms` and `timeout server 5s`, described so."""
    with small_proxy(folder, mode, client="400ms", certificate=certificate) as at:
        found = deployment.read(at.file)
        clients = Clients(sources=("127.16.0.1/32",)) if sources == 1 else found.clients
        expect = Expect(timeout_client_s=0.4, timeout_server_s=5)
        yield Context(
            found.model_copy(update={"expect": expect, "clients": clients}), Settings(sources=200)
        )


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 with its key, in one file."""
    folder = tmp_path_factory.mktemp("tls")
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files]
    subprocess.run(command, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    return both


@pytest.mark.slow
@pytest.mark.parametrize("tls", [False, True])
def test_waits_end_by_the_shorter_timeout_with_the_logs_word(
    tmp_path: Path, certificate: Path, tls: bool
) -> None:
    """In `mode tcp` `timeout client` ends both waits (`c` in the log), through TLS as well."""
    with small(tmp_path, "tcp", certificate if tls else None) as context:
        evidence = timeouts(context)
    assert [wait.what for wait in evidence.waits] == ["silent", "hung"]
    assert {(wait.termination or "")[:1] for wait in evidence.waits} == {"c"}
    judgement = timeouts_as_described(evidence)
    assert judgement.outcome is Outcome.PASS, judgement
    assert judgement.figures["rest_proven"] == "client"
    assert judgement.figures["rest_masked"] == "server"


@pytest.mark.slow
def test_sources_that_are_tried_are_counted_as_they_are(tmp_path: Path) -> None:
    """A source of each server is found among many; a single one is on one server, and counts as one."""
    with small(tmp_path, "tcp") as context:
        api, stats = context.api("rest"), proxy_stats(context.deployment)
        assert source_of(context, stats, api, "a") != source_of(context, stats, api, "b")
    one = tmp_path / "one"
    one.mkdir()
    with small(one, "tcp", sources=1) as context:
        api, stats = context.api("rest"), proxy_stats(context.deployment)
        with pytest.raises(EvidenceUnavailable, match="1 of 1 sources could be placed, none of them on"):
            for server in ("a", "b"):
                assert source_of(context, stats, api, server) == "127.16.0.1"
