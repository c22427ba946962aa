"""The check of the locked packages: licences, known vulnerabilities, and the SBOM."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests import supply_chain
from tests.places import CLONE
from tests.supply_chain import FOUND, INCONCLUSIVE

HASH = "--hash=sha256:" + "0" * 64
RULES: dict[str, Any] = {"allowed": ["MIT"], "names": {"MIT License": "MIT"}, "packages": {}}


@contextmanager
def database(*answers: bytes, status: int = 200) -> Iterator[tuple[str, list[Any]]]:
    """A database of vulnerabilities on this machine: its URL, and what it was asked."""
    asked: list[Any] = []
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()
            self.wfile.write(left.pop(0))

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/querybatch", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def clone(root: Path, *lines: str, metadata: str = "License-Expression: MIT") -> Path:
    """A clone with a lock, and an environment in which package `one` is installed."""
    rules = 'allowed = ["MIT"]\n[names]\n[packages]\n'
    (root / "locks").mkdir()
    (root / "locks" / "supply-chain.toml").write_text(rules)
    (root / "locks" / "suite.txt").write_text("".join(f"{line} \\\n    {HASH}\n" for line in lines))
    about = root / ".venv" / "lib" / "python3.11" / "site-packages" / "one-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.4\nName: One\nVersion: 1\n{metadata}\n")
    return root


NONE, TWO = b'{"results": [{}]}', b'{"results": [{"vulns": [{"id": "GHSA-1"}], "next_page_token": "p"}]}'
SECOND = b'{"results": [{"vulns": [{"id": "PYSEC-2"}]}]}'


def test_a_package_without_vulnerabilities_passes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The database is asked by name, version and ecosystem."""
    with database(NONE) as (url, asked):
        assert supply_chain.main([], clone(tmp_path, "one==1"), url) == 0
    query = {"package": {"name": "one", "ecosystem": "PyPI"}, "version": "1"}
    assert asked == [{"queries": [query]}]
    assert capsys.readouterr().out == "PASS: 1 locked packages, 0 findings (no known vulnerability)\n"


def test_each_vulnerability_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also that of a second page of answers; the exit status is 1."""
    with database(TWO, SECOND) as (url, asked):
        assert supply_chain.main([], clone(tmp_path, "one==1"), url) == FOUND
    assert asked[1]["queries"][0]["page_token"] == "p"
    out = capsys.readouterr().out
    assert "one 1: https://osv.dev/vulnerability/GHSA-1\n" in out
    assert "one 1: https://osv.dev/vulnerability/PYSEC-2\n" in out
    assert "no known" not in out


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (500, b"{}"),
        (302, NONE),
        (200, b""),
        (200, b"<html>a portal</html>"),
        (200, b"[]"),
        (200, b'{"results": []}'),
        (200, b'{"results": [3]}'),
        (200, b'{"results": [{"vulns": "GHSA-1"}]}'),
        (200, b'{"results": [{"vulns": ["GHSA-1"]}]}'),
        (200, b'{"results": [{}, {}]}'),
    ],
)
def test_a_database_that_does_not_answer_is_inconclusive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], status: int, answer: bytes
) -> None:
    """The exit status is its own, and no line says that no vulnerability is known."""
    with database(answer, status=status) as (url, _):
        assert supply_chain.main([], clone(tmp_path, "one==1"), url) == INCONCLUSIVE
    out = capsys.readouterr().out
    assert "cannot be looked up" in out
    assert "INCONCLUSIVE" in out
    assert "no known" not in out


def test_an_unreachable_database_is_inconclusive(tmp_path: Path) -> None:
    """As on a machine without a network."""
    assert supply_chain.main([], clone(tmp_path, "one==1"), "http://127.0.0.1:1/") == INCONCLUSIVE


def test_an_accepted_vulnerability_counts_again_after_its_day() -> None:
    """It is accepted for one package, until a day."""
    packages = [supply_chain.Package("one", "1", (), "suite.txt")]
    rules = {"accepted": [{"package": "one", "id": "PYSEC-2", "until": date(2026, 12, 31)}]}
    for today, found in ((date(2026, 12, 31), 0), (date(2027, 1, 1), 1)):
        with database(SECOND) as (url, _):
            assert len(list(supply_chain.known(packages, rules, today, url))) == found


@pytest.mark.parametrize(
    ("metadata", "status"),
    [
        ("License-Expression: MIT", 0),
        ("License-Expression: GPL-3.0-only OR MIT", 0),
        ("License-Expression: GPL-3.0-only AND MIT", FOUND),
        ("License-Expression: (MIT) AND (GPL-3.0-only OR AGPL-3.0-only)", FOUND),
        ("Classifier: License :: OSI Approved :: MIT License", 0),
        ("Classifier: License :: Other/Proprietary License", FOUND),
        ("License: MIT", 0),
        ("License: Some words", FOUND),
        ("Summary: no licence", INCONCLUSIVE),
    ],
)
def test_licences_are_judged(tmp_path: Path, metadata: str, status: int) -> None:
    """By the expression, else the classifiers, else the text; without any the check is INCONCLUSIVE."""
    root = clone(tmp_path, "one==1", metadata=metadata)
    found = [each for each, _ in supply_chain.licences(supply_chain.locked(root / "locks"), RULES, root)]
    assert found == [status] * bool(status)


def test_a_package_that_is_not_installed_needs_its_licence_by_name(tmp_path: Path) -> None:
    """A lock for all systems holds packages that this one lacks."""
    root = clone(tmp_path, "two==2 ; sys_platform == 'win32'")
    packages = supply_chain.locked(root / "locks")
    assert [status for status, _ in supply_chain.licences(packages, RULES, root)] == [INCONCLUSIVE]
    accepted = RULES | {"packages": {"two": {"licence": "MIT", "reason": "Windows."}}}
    assert list(supply_chain.licences(packages, accepted, root)) == []


def test_a_lock_without_hashes_is_refused(tmp_path: Path) -> None:
    """Every line of a lock names one version and its hashes."""
    (tmp_path / "suite.txt").write_text("one==1\n")
    with pytest.raises(ValueError, match="no locked package with hashes: one==1"):
        supply_chain.locked(tmp_path)


@pytest.mark.slow
def test_the_sbom_names_every_locked_package(capsys: pytest.CaptureFixture[str]) -> None:
    """With version, package URL and hashes; twice the same bytes."""
    assert supply_chain.main(["sbom"]) == 0
    text = capsys.readouterr().out
    assert supply_chain.main(["sbom"]) == 0
    assert capsys.readouterr().out == text
    tree = json.loads(text)
    assert (tree["bomFormat"], tree["specVersion"]) == ("CycloneDX", "1.6")
    locks = "".join(path.read_text() for path in (CLONE / "locks").glob("*.txt"))
    lines = re.findall(r"^([\w.-]+)==([^\s;]+)", locks, flags=re.MULTILINE)
    assert [(each["name"], each["version"]) for each in tree["components"]] == sorted(lines)
    assert all(len(each["properties"]) > 1 for each in tree["components"])
    references = [each["bom-ref"] for each in tree["components"]]
    assert len(set(references)) == len(references)


def test_every_exception_has_a_reason_and_a_package() -> None:
    """What is accepted by name is locked, and says why."""
    rules = supply_chain.tomllib.loads((CLONE / "locks" / "supply-chain.toml").read_text())
    names = {package.name for package in supply_chain.locked(CLONE / "locks")}
    assert set(rules["packages"]) <= names
    assert all(each["licence"] and each["reason"] for each in rules["packages"].values())
