"""Writing a described deployment: the file, its comments, and its secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from calorimeter.config import deployment_writer
from calorimeter.config.audit.subject import Inputs
from calorimeter.config.describe import Described, Known, Missing, describe
from calorimeter.core import files
from calorimeter.core.errors import InputError

_HEADING = """\
Described from {files}.
[expect] is what is configured now: change it to what you want.
"""


def write(inputs: Inputs, known: Known, output: Path, *, force: bool) -> Described:
    """Describe a deployment and write `output`, and its secrets beside it with mode 600.

    Raises `InputError`: the files cannot be used, or one to be written is there already.
    """
    secrets = output.with_suffix(".secrets.toml")
    for name, text in inputs.texts.items():
        if not text.isascii() and text.encode("utf-8", "replace").decode("utf-8") != text:
            raise InputError(name, "is not UTF-8 text", "valid: UTF-8 (comments too)")
    described = describe(inputs, known, folder=output.parent, secrets_file=secrets.name)
    files.refuse_existing(output, *([secrets] if described.secrets else []), force=force)
    if described.secrets:
        files.write_secrets(secrets, described.secrets)
    files.write(output, render(described, inputs))
    return described


def render(described: Described, inputs: Inputs) -> str:
    """The text of deployment.toml; what is missing stands at its end as comments."""
    heading = _HEADING.format(files=", ".join(inputs.texts))
    text = deployment_writer.render(described.deployment, heading.strip())
    return text + "".join(f"{line}\n" for line in (*_identity(described), *_missing(described.missing)))


def _identity(described: Described) -> Iterator[str]:
    """The table that a person has to fill in, with what is known of it."""
    if described.deployment.identity is None:
        yield from (
            "",
            "# [identity]",
            f"# auth_url = {json.dumps(described.auth_url or 'http://HOST:5000')}",
        )
        yield from ('# username = "NAME"', '# project = "NAME"', '# password = { env = "OS_PASSWORD" }')


def _missing(missing: list[Missing]) -> Iterator[str]:
    if not missing:
        return
    yield ""
    yield "# Not in the files that this was described from; add it where you know it:"
    width = max(len(entry.key) for entry in missing)
    for entry in missing:
        yield f"#   {entry.key:<{width}}  {entry.what} ({entry.option})"
