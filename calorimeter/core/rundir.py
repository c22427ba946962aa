"""The run folder: everything that one run recorded.

runs/<id>/
    run.json                 what was run, when, where, with which versions
    deployment.toml          copy of the deployment file (secrets are references, never values)
    proxy/<name>-<n>.cfg     copy of the proxy's configuration, its passwords masked
    scenario.toml            copy of the scenario, for a load run
    samples/<worker>.parquet one row per request (`calorimeter.core.samples.SAMPLE`)
    ledger/<worker>.parquet  one row per accepted stack (`calorimeter.core.samples.LEDGER`)
    watch/<source>.jsonl     states and counters polled during the run, one JSON object per line
    evidence/<name>.json     what gates are judged from
    verdicts.json            verdicts of the gates (`calorimeter.core.verdict.Verdicts`)
    report/                  pages, figures and tables made from all this
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from calorimeter.core import deployment as deployments
from calorimeter.core import environment, files, masking, toml
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError

SCHEMA_VERSION = 1

REQUIRED = {"id": str, "started": str, "deployment": str, "commands": list, "environment": dict}
"""The keys of every run.json besides its version, with their types. Commands add further keys."""


class RunDir:
    """One run folder. `path` exists."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, deployment: Deployment, *, runs: Path, name: str) -> RunDir:
        """Create `runs/<time>-<name>-<random>/` with run.json and copies of the deployment's files.

        Raises InputError if the folder cannot be written.
        """
        now = datetime.now(UTC)
        path = runs / f"{now:%Y%m%dT%H%M%SZ}-{name}-{secrets.token_hex(2)}"
        try:
            path.mkdir(parents=True)
            for folder in ("samples", "ledger", "watch", "evidence"):
                (path / folder).mkdir()
            shutil.copyfile(deployment.path, path / "deployment.toml")
            proxies = _keep_proxies(deployment, path)
        except OSError as problem:
            raise InputError(str(path), f"cannot be written ({problem.strerror})") from problem
        run = cls(path)
        run._write(
            {
                "schema_version": SCHEMA_VERSION,
                "id": path.name,
                "started": now.isoformat(),
                "deployment": deployment.name,
                "commands": [],
                "environment": environment.capture(),
                "proxy_config": proxies,
            }
        )
        return run

    @classmethod
    def open(cls, path: Path) -> RunDir:
        """Open a run folder. Raises InputError if it is not one, is damaged or of another version."""
        run = cls(path)
        about, file = run.about, str(path / "run.json")
        version = about.get("schema_version")
        if version != SCHEMA_VERSION:
            raise InputError(file, f"schema_version {version!r}", f"valid: {SCHEMA_VERSION}")
        for key, kind in REQUIRED.items():
            if not isinstance(about.get(key), kind):
                given = f"{key} is {about[key]!r:.60}" if key in about else f"has no {key}"
                raise InputError(
                    file, given, f"valid: a {_NAMES[kind]}, as in every run.json of this suite"
                )
        return run

    @property
    def about(self) -> dict[str, Any]:
        """The content of run.json. Raises InputError if it is missing or damaged."""
        file = self.path / "run.json"
        try:
            tree = json.loads(file.read_text(encoding="utf-8"))
        except OSError as problem:
            raise InputError(
                str(self.path), f"is not a run folder (run.json: {problem.strerror})"
            ) from problem
        except (ValueError, RecursionError) as problem:
            raise InputError(str(file), "is damaged: not JSON") from problem
        if not isinstance(tree, dict):
            raise InputError(str(file), "is damaged: not a JSON object")
        return tree

    def note(self, **entries: Any) -> None:
        """Add entries to run.json, and replace those of the same name."""
        self._write({**self.about, **entries})

    def note_command(self, command: list[str] | None = None) -> None:
        """Add a command line (default: that of this process) to the commands that wrote to this run."""
        about = self.about
        about["commands"].append(command or [Path(sys.argv[0]).name, *sys.argv[1:]])
        self._write(about)

    def deployment(self) -> Deployment:
        """The deployment as it was when the run was made. Raises InputError."""
        return deployments.read(self.path / "deployment.toml")

    def save_evidence(self, name: str, evidence: toml.Model) -> Path:
        """Write `evidence/<name>.json`. Returns its path relative to the run."""
        path = self.path / "evidence" / f"{name}.json"
        path.write_text(evidence.model_dump_json(), encoding="utf-8")
        return path.relative_to(self.path)

    def parquet(self, kind: str) -> list[Path]:
        """The files of `samples` or `ledger`: one per worker, or the worker's numbered segments."""
        found = sorted((self.path / kind).glob("*.parquet"))
        whole = {file.stem for file in found}
        # A worker that was killed after joining its segments leaves both; the joined file is complete.
        return [file for file in found if file.stem.rpartition("-")[0] not in whole]

    def _write(self, about: dict[str, Any]) -> None:
        files.write(self.path / "run.json", json.dumps(about, indent=2) + "\n")


_LARGEST = 8 * 2**20
"""Bytes of a proxy's configuration that is kept."""
_NAMES = {str: "text", list: "list", dict: "table"}


def _keep_proxies(deployment: Deployment, run: Path) -> list[dict[str, Any]]:
    """Copy the configuration files of each proxy with masked passwords. Returns the entries for run.json.

    The hash is that of the copy: it can be checked, and nobody can guess a weak password from it.
    """
    texts: dict[Path, str | InputError] = {}
    for file in (file for proxy in deployment.proxy for file in proxy.config):
        try:
            texts[file] = files.read_text(deployment.path.parent / file, errors="replace", limit=_LARGEST)
        except InputError as problem:
            texts[file] = problem
    secret = masking.of_proxies(text for text in texts.values() if isinstance(text, str))
    kept: list[dict[str, Any]] = []
    for proxy in deployment.proxy:
        for number, file in enumerate(proxy.config):
            entry: dict[str, Any] = {"proxy": proxy.name, "file": str(file)}
            text = texts[file]
            if isinstance(text, InputError):
                kept.append({**entry, "unavailable": text.given})
                continue
            name = re.sub(r"[^\w.-]", "_", proxy.name)
            copy = files.make_folder(run / "proxy") / f"{name}-{number}.cfg"
            files.write(copy, secret.hide_lines(text), mode=files.PRIVATE)
            digest = hashlib.sha256(files.read(copy)).hexdigest()
            kept.append({**entry, "copy": str(copy.relative_to(run)), "sha256": digest})
    return kept
