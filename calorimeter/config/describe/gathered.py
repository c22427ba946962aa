"""What a description gathers beside the deployment: the secrets that it refers to, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from calorimeter.config.describe.owner_answers import Missing
from calorimeter.core.secrecy.secrets import Secret


@dataclass(slots=True)
class Gathered:
    """Secrets by key in `secrets_file`, missing answers, and notes about what was chosen."""

    secrets_file: Path
    secrets: dict[str, str] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def lacks(self, key: str, what: str, option: str) -> None:
        """Note that the files do not have `key`, and the option that gives it."""
        self.missing.append(Missing(key, what, option))

    def secret(self, key: str, value: str) -> Secret:
        """Keep a secret, and return the reference to it."""
        self.secrets[key] = value
        return Secret(file=self.secrets_file, key=key)
