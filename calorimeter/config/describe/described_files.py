"""Writes a described deployment: deployment.toml with comments, and the secrets in a file beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from calorimeter.config import deployment_writer
from calorimeter.config.audit.secrets_in_files import secrets_hidden, secrets_in
from calorimeter.config.audit.subject import Inputs
from calorimeter.config.describe.deployment_from_files import Description, describe
from calorimeter.config.describe.owner_answers import Answers, Missing
from calorimeter.core import files, wrapping
from calorimeter.core.errors import InputError

_EXPECT = "[expect] holds what is configured now: change it to what you want."


def write(inputs: Inputs, answers: Answers, output: Path, *, force: bool) -> Description:
    """Describe a deployment and write `output`, and its secrets beside it with mode 600.

    Raises InputError if the files cannot be used, or if a file to write exists and `force` is false.
    """
    if not output.name or output.is_dir():
        raise InputError(str(output), "is a folder", "valid: the path of a file")
    secrets = output.with_suffix(".secrets.toml")
    with secrets_hidden(inputs):
        described = describe(inputs, answers, folder=output.parent, secrets_file=secrets.name)
    hide = secrets_in(inputs).hide_in_sentence
    described.missing = [replace(each, what=hide(each.what)) for each in described.missing]
    text = render(described, inputs)
    _require_utf8(inputs, text, *described.secrets.values())
    files.refuse_existing(output, *([secrets] if described.secrets else []), force=force)
    if described.secrets:
        files.write_secrets(secrets, described.secrets)
    files.write(output, text)
    return described


def _require_utf8(inputs: Inputs, *written: str) -> None:
    """Raise InputError if what is written has bytes of the files that are not UTF-8; comments may have."""
    if not all(map(_is_utf8, written)):
        name = next((name for name, text in inputs.texts.items() if not _is_utf8(text)), "describe")
        raise InputError(name, "has a name or a password that is not UTF-8 text", "valid: UTF-8")


def _is_utf8(text: str) -> bool:
    return text.isascii() or text.encode("utf-8", "replace").decode("utf-8") == text


def render(described: Description, inputs: Inputs) -> str:
    """The text of deployment.toml without secrets; comments at its end list what is missing."""
    heading = [*wrapping.sentence(f"Described from {', '.join(inputs.texts)}.", more="  "), _EXPECT]
    text = deployment_writer.render(described.deployment, "\n".join(heading))
    more = (*_identity(described), *_notes(described.notes), *_missing(described.missing))
    return secrets_in(inputs).hide(text + "".join(f"{line}\n" for line in more))


def _identity(described: Description) -> Iterator[str]:
    """The [identity] table as a comment to fill in, if the deployment has none."""
    if described.deployment.identity is None:
        yield from (
            "",
            "# [identity]",
            f"# auth_url = {json.dumps(described.auth_url or 'http://HOST:5000')}",
        )
        yield from ('# username = "NAME"', '# project = "NAME"', '# password = { env = "OS_PASSWORD" }')
        yield '# or, instead of all of these: cloud = "NAME", an entry of clouds.yaml'


def _notes(notes: tuple[str, ...]) -> Iterator[str]:
    """The choices that were made, as comments."""
    if notes:
        yield ""
        yield "# Chosen among several:"
        for note in notes:
            yield from wrapping.sentence(note, "#   ", "#     ")


def _missing(missing: list[Missing]) -> Iterator[str]:
    if not missing:
        return
    yield ""
    yield "# Not in the configuration files; add what you know:"
    for entry in missing:
        yield from wrapping.sentence(f"{entry.key}: {entry.what} ({entry.option})", "#   ", "#     ")
