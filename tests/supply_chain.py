"""`bin/supply-chain`: the locked packages, their licences, their known vulnerabilities, and their SBOM."""

from __future__ import annotations

import json
import re
import sys
import tomllib
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

import requests

from calorimeter import __version__
from tests.places import CLONE

ENVIRONMENTS = {"suite.txt": ".venv", "uv.txt": ".venv", "heat.txt": ".venv-heat"} | {
    f"heat-{release}.txt": ".venv-heat" for release in (25, 26, 27)
}
"""Lock → the environment that tells the licences of its packages. The later releases of Heat have those of
heat.txt, but few, which are in supply-chain.toml."""

SERVICE = "https://api.osv.dev/v1/querybatch"
FOUND, INCONCLUSIVE = 1, 3
BATCH = 500
PAGES = 20


class UnreadableError(Exception):
    """What was asked cannot be known now: neither a finding, nor its absence."""


@dataclass(frozen=True, order=True, slots=True)
class Package:
    """A locked package: a name as indexes write it, a version, its hashes, and the lock it is in."""

    name: str
    version: str
    hashes: tuple[str, ...]
    lock: str


def locked(folder: Path) -> list[Package]:
    """The packages of all locks of a folder. Raises ValueError for a line that names none."""
    found = []
    for lock in sorted(folder.glob("*.txt")):
        joined = lock.read_text("utf-8").replace("\\\n", " ")
        for line in filter(None, map(str.strip, joined.splitlines())):
            match = re.match(r"([\w.-]+)==([^\s;]+)(?:\s*;[^#]*?)?\s+(--hash=.*)", line, re.ASCII)
            if match is None:
                raise ValueError(f"{lock}: no locked package with hashes: {line:.80}")
            hashes = tuple(sorted(re.findall(r"--hash=sha256:([0-9a-f]{64})", match[3])))
            found.append(Package(_name(match[1]), match[2], hashes, lock.name))
    return sorted(found)


def _name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


# Licences


def installed(root: Path) -> dict[tuple[str, str], Distribution]:
    """The packages of both environments by lock and name; the version may be that of another Python."""
    found = {}
    for lock, environment in ENVIRONMENTS.items():
        folders = [str(path) for path in (root / environment).glob("lib/python*/site-packages")]
        for package in distributions(path=folders):
            found[lock, _name(package.metadata["Name"])] = package
    return found


def licence(package: Distribution, names: dict[str, str]) -> str:
    """The licence that a package names, as an SPDX expression where that is known; "" without any."""
    about = package.metadata
    named = (name for name in about.get_all("Classifier") or () if name.startswith("License"))
    classes = [name.rpartition(" :: ")[2] for name in named]
    classes = [name for name in classes if name != "OSI Approved"]
    if expression := _entry(package, "License-Expression"):
        return expression
    if classes:
        return " AND ".join(names.get(name, name) for name in classes)
    first = _entry(package, "License").partition("\n")[0].strip()
    return names.get(first, first)


def _entry(package: Distribution, key: str) -> str:
    return str((package.metadata.get_all(key) or [""])[0])


def is_allowed(expression: str, allowed: Iterable[str]) -> bool:
    """Whether a licence is allowed: of alternatives one, of those that apply together all."""
    parts = expression.replace("(", " ").replace(")", " ").split(" AND ")
    return all(any(name.strip() in set(allowed) for name in part.split(" OR ")) for part in parts)


def licences(packages: Sequence[Package], rules: dict[str, Any], root: Path) -> Iterator[tuple[int, str]]:
    """What is wrong with the licences, with the exit status that it asks for."""
    there = installed(root)
    for package in packages:
        found = there.get((package.lock, package.name))
        named = licence(found, rules["names"]) if found else ""
        accepted = rules["packages"].get(package.name, {}).get("licence")
        where = f"{package.lock}: {package.name} {package.version}"
        if named and named != accepted and not is_allowed(named, rules["allowed"]):
            yield FOUND, f"{where}: the licence {named!r} is not allowed"
        elif not named and accepted is None:
            yield INCONCLUSIVE, f"{where}: names no licence here; add it to locks/supply-chain.toml"


# Known vulnerabilities


def vulnerabilities(
    packages: Sequence[Package], service: str = SERVICE
) -> dict[tuple[str, str], list[str]]:
    """Name and version → the known vulnerabilities of it. Raises UnreadableError."""
    asked = sorted({(package.name, package.version) for package in packages})
    found: dict[tuple[str, str], list[str]] = {}
    waiting = [(package, "") for package in asked]
    for _ in range(PAGES):
        batch, waiting = waiting[:BATCH], waiting[BATCH:]
        for (package, _page), (ids, page) in zip(batch, _answers(batch, service), strict=True):
            found.setdefault(package, []).extend(ids)
            waiting += [(package, page)] if page else []
        if not waiting:
            return {package: sorted(set(ids)) for package, ids in found.items() if ids}
    raise UnreadableError(f"{service}: more than {PAGES} pages of answers")


def _answers(batch: Sequence[tuple[tuple[str, str], str]], service: str) -> list[tuple[list[str], str]]:
    """For each package of a batch the ids of its vulnerabilities, and the page that goes on with them."""
    queries = [
        {"package": {"name": name, "ecosystem": "PyPI"}, "version": version}
        | ({"page_token": page} if page else {})
        for (name, version), page in batch
    ]
    try:
        answer = requests.post(service, json={"queries": queries}, timeout=60, allow_redirects=False)
        if answer.status_code != requests.codes.ok:
            raise UnreadableError(f"{service}: answered with status {answer.status_code}")
        results = [
            (
                [str(each["id"]) for each in result.get("vulns", ())],
                str(result.get("next_page_token") or ""),
            )
            for result in answer.json()["results"]
        ]
    except (requests.RequestException, ValueError, TypeError, KeyError, AttributeError) as problem:
        raise UnreadableError(f"{service}: {type(problem).__name__}") from problem
    if len(results) != len(batch):
        raise UnreadableError(f"{service}: {len(batch)} packages asked about, {len(results)} answers")
    return results


def known(
    packages: Sequence[Package], rules: dict[str, Any], today: date, service: str = SERVICE
) -> Iterator[tuple[int, str]]:
    """The known vulnerabilities that are not accepted, or that cannot be asked for."""
    accepted = {(each["package"], each["id"]): each["until"] for each in rules.get("accepted", ())}
    try:
        found = vulnerabilities(packages, service)
    except UnreadableError as problem:
        yield INCONCLUSIVE, f"known vulnerabilities cannot be looked up: {problem}"
        return
    for (name, version), ids in found.items():
        for each in ids:
            until = accepted.get((name, each))
            if until is None or until < today:
                expired = f", was accepted until {until}" if until else ""
                yield FOUND, f"{name} {version}: https://osv.dev/vulnerability/{each}{expired}"


# SBOM


def sbom(packages: Sequence[Package], rules: dict[str, Any], root: Path) -> str:
    """The packages as a CycloneDX document. Hashes are those of the files that an index offers."""
    there = installed(root)
    components = []
    for package in packages:
        found = there.get((package.lock, package.name))
        named = rules["packages"].get(package.name, {}).get("licence")
        named = named or (licence(found, rules["names"]) if found else "")
        purl = f"pkg:pypi/{package.name}@{package.version}"
        components.append(
            {
                "type": "library",
                "bom-ref": f"{package.lock}#{purl}",
                "name": package.name,
                "version": package.version,
                "purl": purl,
                "licenses": [{"license": {"name": named}}] if named else [],
                "properties": [
                    {"name": "calorimeter:lock", "value": f"locks/{package.lock}"},
                    *({"name": "calorimeter:sha256", "value": digest} for digest in package.hashes),
                ],
            }
        )
    of_suite = {
        "type": "application",
        "bom-ref": "calorimeter",
        "name": "calorimeter",
        "version": __version__,
    }
    body = {"metadata": {"component": of_suite}, "components": components}
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(body, sort_keys=True))
    head = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
    }
    return json.dumps({**head, **body}, indent=2) + "\n"


def main(arguments: Sequence[str], root: Path = CLONE, service: str = SERVICE) -> int:
    """Print the SBOM, or the findings and a last line; the exit status."""
    rules = tomllib.loads((root / "locks" / "supply-chain.toml").read_text("utf-8"))
    packages = locked(root / "locks")
    if arguments:
        if list(arguments) != ["sbom"]:
            print(f"supply-chain: {arguments[0]!r} given; valid: sbom, or nothing", file=sys.stderr)
            return 2
        print(sbom(packages, rules, root), end="")
        return 0
    today = datetime.now(UTC).date()
    found = [*licences(packages, rules, root), *known(packages, rules, today, service)]
    for _, line in found:
        print(line)
    statuses = {status for status, _ in found}
    status = FOUND if FOUND in statuses else INCONCLUSIVE if statuses else 0
    asked = "no known vulnerability" if not statuses else "see above"
    word = {0: "PASS", FOUND: "FAIL", INCONCLUSIVE: "INCONCLUSIVE"}[status]
    print(f"{word}: {len(packages)} locked packages, {len(found)} findings ({asked})")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
