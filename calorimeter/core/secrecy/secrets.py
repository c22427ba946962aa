"""Secrets by reference: a deployment file names where a password is, and never contains it."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from pydantic import model_validator

from calorimeter.core import files
from calorimeter.core.errors import InputError, unknown
from calorimeter.core.host import ownership
from calorimeter.core.toml import Model

LARGEST = 2**20
"""Bytes of a file of secrets."""


class Secret(Model):
    """Where a secret is: `{ env = "NAME" }`, or `{ file = "secrets.toml", key = "NAME" }`.

    `file` is relative to the deployment file, and only its owner may be able to read it.
    """

    env: str | None = None
    file: Path | None = None
    key: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _a_reference(cls, given: Any) -> Any:
        if not isinstance(given, dict | Secret):
            raise ValueError(
                'name where the secret is, { env = "NAME" } or { file = "PATH", key = "NAME" }'
            )
        return given

    @model_validator(mode="after")
    def _one_place(self) -> Secret:
        if (self.env is None) == (self.file is None) or (self.file is None) != (self.key is None):
            raise ValueError('a secret is { env = "NAME" } or { file = "PATH", key = "NAME" }')
        return self

    def reveal(self, folder: Path) -> str:
        """The secret's value. `folder` is the folder of the deployment file.

        Raises InputError if the variable is not set, or if the file cannot be read, is accessible to others
        or does not have the key.
        """
        if self.env is not None:
            value = os.environ.get(self.env)
            if value is None:
                raise InputError(f"${self.env}", "is not set", "export it with the secret")
            return value
        assert self.file is not None and self.key is not None
        path = folder / self.file
        try:
            tree = tomllib.loads(files.read_text(path, limit=LARGEST))
        except ValueError as problem:
            raise InputError(str(path), "is not a TOML file of secrets") from problem
        ownership.require_private(path)
        if self.key not in tree:
            raise unknown(str(path), "key", self.key, tree)
        return str(tree[self.key])
