"""`{host}` in the name of a Heat file: one option for the files of all hosts."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator

from calorimeter.core.errors import InputError

HOST = "{host}"


def each_host(given: str) -> Iterator[str]:
    """`HOST=FILE` of each file that `{host}=DIR/{host}/heat.conf` means; anything else unchanged.

    `{host}` is one part of a path, or of its name; `*` and `?` are as in a shell. Of `{host}=FILE,FILE` the
    first file says which hosts there are. Raises InputError if no file matches.
    """
    process, _, files = given.partition("=")
    if HOST not in process:
        yield given
        return
    first, *more = files.split(",")
    if HOST not in first:
        raise InputError("--heat-conf", f"{given!r} given", f"valid: {HOST}=FILE with {HOST} in FILE, too")
    pattern = re.compile(_regex(first), re.DOTALL)
    wild = "*".join(part.replace("[", "[[]") for part in first.split(HOST))
    found = sorted(glob.glob(wild))  # noqa: PTH207 - a Path would change how the file is named
    matches = [(match["host"], file) for file in found if (match := pattern.fullmatch(file))]
    if not matches:
        raise InputError("--heat-conf", f"no file matches {first}", f"valid: {HOST} stands for one name")
    for host, file in matches:
        own = [file, *(name.replace(HOST, host) for name in more)]
        yield f"{process.replace(HOST, host)}={','.join(own)}"


def _regex(pattern: str) -> str:
    """The regular expression of a pattern; all `{host}` in it are the same name."""
    parts = [re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]") for part in pattern.split(HOST)]
    first, second, *rest = parts
    return f"{first}(?P<host>[^/]+?){second}" + "".join(f"(?P=host){part}" for part in rest)
