"""The run folder: everything that one run recorded.

runs/<id>/
    run.json                 what was run, when, where, with which versions
    deployment.toml          copy of the deployment file (secrets are references, never values)
    proxy/<name>-<n>.cfg     copy of the proxy's configuration, its passwords masked
    scenario.toml            copy of the scenario, for a load run
    samples/<worker>.parquet one row per request (`calorimeter.core.recorded.samples.SAMPLE`)
    ledger/<worker>.parquet  one row per accepted stack (`calorimeter.core.recorded.samples.LEDGER`)
    watch/<source>.jsonl     states and counters polled during the run, one JSON object per line
    evidence/<name>.json     what gates are judged from
    verdicts.json            verdicts of the gates (`calorimeter.core.verdict.Verdicts`)
    report/                  pages, figures and tables made from all this
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import sys
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from calorimeter.core import deployment as deployments
from calorimeter.core import files, toml
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.host import environment
from calorimeter.core.secrecy import masking
from calorimeter.core.shown_text import plain

SCHEMA_VERSION = 1

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
"""What a run is called between its time and its random number: it is part of a path."""

REQUIRED = {"id": str, "started": str, "deployment": str, "commands": list, "environment": dict}
"""The keys of every run.json besides its version, with their types. Commands add further keys."""

UPGRADED = "upgraded"
"""What run.json notes under `stopped` if a load ended because the upgrade beside it was done."""

LARGEST_RUN_JSON = 4 * 2**20


class RunDir:
    """One run folder. `path` exists."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, deployment: Deployment, *, runs: Path, name: str) -> RunDir:
        """Create `runs/<time>-<name>-<random>/` with run.json and copies of the deployment's files.

        Only its owner can read it: copies of configuration and records name hosts, commands and users.
        Raises InputError if the folder cannot be written.
        """
        now = datetime.now(UTC)
        path = runs / f"{now:%Y%m%dT%H%M%SZ}-{name}-{secrets.token_hex(2)}"
        if not _NAME.fullmatch(name):
            raise InputError(str(runs), f"no run can be called {name!r}", f"valid: {_NAME.pattern}")
        files.make_folder(path, new=True)
        for folder in ("samples", "ledger", "watch", "evidence"):
            files.make_folder(path / folder)
        files.write(path / "deployment.toml", files.read(deployment.path), mode=files.PRIVATE)
        try:
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
        for folder in _FOLDERS:
            run._refuse_link(run.path / folder)
        if not _ID.fullmatch(about["id"]):
            raise InputError(file, f"id is {about['id']!r:.60}", "valid: the name of a run folder")
        return run

    @property
    def about(self) -> dict[str, Any]:
        """The content of run.json. Raises InputError if it is missing or damaged."""
        file = self.path / "run.json"
        try:
            tree = files.read_json(file, limit=LARGEST_RUN_JSON, within=self.path)
        except files.MissingFileError as problem:
            why = problem.given.removeprefix("cannot be read (").removesuffix(")")
            raise InputError(str(self.path), f"is not a run folder (run.json: {why})") from problem
        if not isinstance(tree, dict):
            raise InputError(str(file), "is damaged: not a JSON object")
        return tree

    def note(self, **entries: Any) -> None:
        """Add entries to run.json, and replace those of the same name."""
        self._write({**self.about, **entries})

    def note_command(self, command: list[str] | None = None) -> None:
        """Add a command line (default: that of this process) to the commands that wrote to this run."""
        about = self.about
        words = command or [Path(sys.argv[0]).name, *sys.argv[1:]]
        about["commands"].append([plain(word) for word in words])  # a name of a file need not be UTF-8
        self._write(about)

    def deployment(self) -> Deployment:
        """The deployment as it was when the run was made. Raises InputError."""
        return deployments.read(files.regular(self.path / "deployment.toml", within=self.path))

    def save_evidence(self, name: str, evidence: toml.Model) -> Path:
        """Write `evidence/<name>.json`. Returns its path relative to the run."""
        path = self.path / "evidence" / f"{name}.json"
        files.write(path, evidence.model_dump_json(), mode=files.PRIVATE)
        return path.relative_to(self.path)

    def parquet(self, kind: str) -> list[Path]:
        """The files of `samples` or `ledger`: one per worker, or the worker's numbered segments."""
        found = self.named(kind, "*.parquet")
        whole = {file.stem for file in found}
        # A worker that was killed after joining its segments leaves both; the joined file is complete.
        return [file for file in found if file.stem.rpartition("-")[0] not in whole]

    def named(self, folder: str, pattern: str) -> list[Path]:
        """The entries of a sub folder whose names match a pattern, in order; none if there is no folder.

        Raises InputError if the sub folder is a link out of the run, or cannot be listed.
        """
        place = self.path / folder
        if not os.path.lexists(place):
            return []
        self._refuse_link(place)
        try:
            return sorted(entry for entry in place.iterdir() if fnmatchcase(entry.name, pattern))
        except OSError as problem:
            raise InputError(str(place), f"cannot be read ({problem.strerror})") from problem

    def _refuse_link(self, place: Path) -> None:
        """Refuse a folder that is elsewhere: it would be shown, or written to, as if it were the run's."""
        if not Path(os.path.realpath(place)).is_relative_to(os.path.realpath(self.path)):
            raise InputError(str(place), "is a symbolic link out of the run", "valid: a folder of the run")

    def _write(self, about: dict[str, Any]) -> None:
        files.write(self.path / "run.json", json.dumps(about, indent=2) + "\n", mode=files.PRIVATE)


_LARGEST = 8 * 2**20
"""Bytes of a proxy's configuration that is kept."""
_NAMES = {str: "text", list: "list", dict: "table"}
_FOLDERS = ("samples", "ledger", "actions", "watch", "evidence", "proxy")
_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,199}", re.ASCII)
"""An id becomes the beginning of names of stacks, and part of the commands that pages show."""


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
