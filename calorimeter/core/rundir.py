"""The run folder: everything one run recorded, readable for as long as it is kept.

runs/<id>/
    run.json                 what was run, when, where, with which versions
    deployment.toml          the deployment as it was (secrets are references, never values)
    proxy/<name>-<n>.cfg     the proxy's configuration as it was, its passwords masked
    scenario.toml            the scenario as it was, for a load run
    samples/<worker>.parquet one row a request (`calorimeter.core.samples.SAMPLE`)
    ledger/<worker>.parquet  one row an accepted stack (`calorimeter.core.samples.LEDGER`)
    watch/<source>.jsonl     states and counters polled meanwhile, one JSON object a line
    evidence/<name>.json     what a gate was judged from
    verdicts.json            what the gates say (`calorimeter.core.verdict.Verdicts`)
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
from calorimeter.core import environment, masking, toml
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError

SCHEMA_VERSION = 1

REQUIRED = {"id": str, "started": str, "deployment": str, "commands": list, "environment": dict}
"""What every run.json says besides its version; commands note more in it."""


class RunDir:
    """One run folder; `path` exists."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, deployment: Deployment, *, runs: Path, name: str) -> RunDir:
        """Make `runs/<time>-<name>-<random>/` with run.json and copies of what the deployment was.

        Raises `InputError` where the folder cannot be written.
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
        """An existing run folder; raises `InputError` where it is none, damaged or of another version."""
        run = cls(path)
        about, file = run.about, str(path / "run.json")
        version = about.get("schema_version")
        if version != SCHEMA_VERSION:
            raise InputError(file, f"schema_version {version!r}", f"valid: {SCHEMA_VERSION}")
        for key, kind in REQUIRED.items():
            if not isinstance(about.get(key), kind):
                given = f"{key} is {about[key]!r:.60}" if key in about else f"has no {key}"
                raise InputError(file, given, f"valid: a {_NAMES[kind]}, as in each run.json of this suite")
        return run

    @property
    def about(self) -> dict[str, Any]:
        """What run.json says; raises `InputError` where it is missing or damaged."""
        file = self.path / "run.json"
        try:
            tree = json.loads(file.read_text(encoding="utf-8"))
        except OSError as problem:
            raise InputError(
                str(self.path), f"is no run folder (run.json: {problem.strerror})"
            ) from problem
        except (ValueError, RecursionError) as problem:
            raise InputError(str(file), "is damaged: not JSON") from problem
        if not isinstance(tree, dict):
            raise InputError(str(file), "is damaged: not a JSON object")
        return tree

    def note(self, **entries: Any) -> None:
        """Add entries to run.json, replacing those of the same name."""
        self._write({**self.about, **entries})

    def note_command(self, command: list[str] | None = None) -> None:
        """Remember the command line that wrote to this run."""
        about = self.about
        about["commands"].append(command or [Path(sys.argv[0]).name, *sys.argv[1:]])
        self._write(about)

    def deployment(self) -> Deployment:
        """The deployment as it was when the run was made."""
        return deployments.read(self.path / "deployment.toml")

    def save_evidence(self, name: str, evidence: toml.Model) -> Path:
        """Write `evidence/<name>.json` and give its path relative to the run."""
        path = self.path / "evidence" / f"{name}.json"
        path.write_text(evidence.model_dump_json(), encoding="utf-8")
        return path.relative_to(self.path)

    def parquet(self, kind: str) -> list[Path]:
        """The files of `samples` or `ledger`: one a worker, or its numbered segments."""
        files = sorted((self.path / kind).glob("*.parquet"))
        whole = {file.stem for file in files}
        # A worker killed while it joined its segments leaves both: then the joined file is complete.
        return [file for file in files if file.stem.rpartition("-")[0] not in whole]

    def _write(self, about: dict[str, Any]) -> None:
        file = self.path / "run.json"
        partial = file.with_suffix(".partial")
        partial.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        partial.replace(file)


_NAMES = {str: "text", list: "list", dict: "table"}


def _keep_proxies(deployment: Deployment, run: Path) -> list[dict[str, Any]]:
    """Copy what each proxy was configured with, passwords masked; what was kept, or why it was not.

    The hash is of the copy, so that it can be checked, and tells nobody a password that is easy to guess.
    """
    kept: list[dict[str, Any]] = []
    for proxy in deployment.proxy:
        for number, file in enumerate(proxy.config):
            source = deployment.path.parent / file
            entry: dict[str, Any] = {"proxy": proxy.name, "file": str(file)}
            try:
                text = masking.mask_all(source.read_text(encoding="utf-8", errors="replace"))
            except OSError as problem:
                kept.append({**entry, "unavailable": str(problem.strerror)})
                continue
            name = re.sub(r"[^\w.-]", "_", proxy.name)
            copy = run / "proxy" / f"{name}-{number}.cfg"
            copy.parent.mkdir(exist_ok=True)
            copy.write_text(text, encoding="utf-8")
            digest = hashlib.sha256(copy.read_bytes()).hexdigest()
            kept.append({**entry, "copy": str(copy.relative_to(run)), "sha256": digest})
    return kept
