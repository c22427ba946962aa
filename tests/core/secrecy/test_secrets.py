"""Secrets by reference: where they are read from, and what is refused."""

import json
from pathlib import Path

import pytest

from calorimeter.core.errors import InputError
from calorimeter.core.secrecy.secrets import Secret


def test_secret_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`env` names an environment variable."""
    monkeypatch.setenv("SECRET", "s3")
    assert Secret(env="SECRET").reveal(tmp_path) == "s3"


def test_secret_from_a_file_beside_the_deployment(tmp_path: Path) -> None:
    """`file` is relative to the deployment file."""
    file = tmp_path / "secrets.toml"
    file.write_text('keystone = "s3"\n')
    file.chmod(0o600)
    assert Secret(file=Path("secrets.toml"), key="keystone").reveal(tmp_path) == "s3"


def test_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """A file of secrets must have mode 600."""
    file = tmp_path / "secrets.toml"
    file.write_text('keystone = "s3"\n')
    file.chmod(0o644)
    with pytest.raises(InputError, match="has mode 644; valid: 600"):
        Secret(file=Path("secrets.toml"), key="keystone").reveal(tmp_path)


def test_missing_key_names_the_nearest(tmp_path: Path) -> None:
    """The error for an unknown key has the nearest key, and no secret."""
    file = tmp_path / "secrets.toml"
    file.write_text('keystone = "s3"\n')
    file.chmod(0o600)
    with pytest.raises(InputError, match="did you mean 'keystone'") as refused:
        Secret(file=Path("secrets.toml"), key="keyston").reveal(tmp_path)
    assert "s3" not in str(refused.value)


@pytest.mark.parametrize(
    "given", [{}, {"env": "A", "file": "f", "key": "k"}, {"file": "f"}, {"env": "A", "key": "k"}]
)
def test_secret_is_in_one_place(given: dict[str, str]) -> None:
    """A secret has either `env`, or `file` and `key`."""
    with pytest.raises(ValueError, match="a secret is"):
        Secret.model_validate_json(json.dumps(given))
