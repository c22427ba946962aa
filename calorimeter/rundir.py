"""The run folder: everything one run recorded, readable for as long as it is kept.

runs/<id>/
    run.json                 what was run, when, where, with which versions
    deployment.toml          the deployment as it was (secrets are references, never values)
    scenario.toml            the scenario as it was, for a load run
    samples/<worker>.parquet one row a request (`calorimeter.samples.SAMPLE`)
    ledger/<worker>.parquet  one row an accepted stack (`calorimeter.samples.LEDGER`)
    watch/<source>.jsonl     states and counters polled meanwhile, one JSON object a line
    evidence/<name>.json     what a gate was judged from
    verdicts.json            what the gates say (`calorimeter.verdict.Verdicts`)
    report/                  pages, figures and tables made from all this
"""

from __future__ import annotations

import json
import secrets
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from calorimeter import deployment as deployments
from calorimeter import environment, toml
from calorimeter.deployment import Deployment
from calorimeter.errors import InputError

SCHEMA_VERSION = 1


class RunDir:
    """One run folder; `path` exists."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, deployment: Deployment, *, runs: Path, name: str) -> RunDir:
        """Make `runs/<time>-<name>-<random>/` with run.json and a copy of the deployment file.

        Raises `InputError` where the folder cannot be written.
        """
        now = datetime.now(UTC)
        path = runs / f"{now:%Y%m%dT%H%M%SZ}-{name}-{secrets.token_hex(2)}"
        try:
            path.mkdir(parents=True)
            for folder in ("samples", "ledger", "watch", "evidence"):
                (path / folder).mkdir()
            shutil.copyfile(deployment.path, path / "deployment.toml")
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
            }
        )
        return run

    @classmethod
    def open(cls, path: Path) -> RunDir:
        """An existing run folder; raises `InputError` where `path` is none, or of another version."""
        run = cls(path)
        version = run.about.get("schema_version")
        if version != SCHEMA_VERSION:
            raise InputError(
                str(path / "run.json"), f"schema_version {version!r}", f"valid: {SCHEMA_VERSION}"
            )
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
        except ValueError as problem:
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
