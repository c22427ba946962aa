"""Run folders to break: a small whole one, and ways to damage a folder by a source of randomness.

    make(path, seconds=20)            writes a whole run folder: every kind of file that a run can have
    make_study(path, kind)            writes a folder with a `scale.json` or a `capacity.json`
    damage(folder, random) -> str     damages one file or sub folder in place, and says what it did

`random` is a `random.Random` (or hypothesis' `st.randoms(use_true_random=False)`): the same source damages
the same folder in the same way. `damage` may be called several times on one folder. It never raises for a
folder that is damaged already, follows no link, and writes nothing outside the folder. A damaged folder can
hold pipes, links and sparse files of 100 MB: read it with a limit of time and memory.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz import damaged_parquet
from tests.fuzz.whole_runs import make, make_study

__all__ = ["damage", "make", "make_study"]

RAW = (
    *("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1" + "0" * 5000, "-" + "9" * 5000, "1e-400"),
    *(
        "[" * 5000 + "]" * 5000,
        '{"a":' * 3000 + "1" + "}" * 3000,
        '"\\ud800"',
        '"\\udfff\\ud800"',
        "01",
        "'a'",
    ),
    "1e309",
)
"""Texts in the place of a JSON value that a tree of Python cannot hold, or that is not JSON."""

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**30, -0.0),
    *(0.5, -1.5, 1e-300, 1e300, 1.7e308, "", " ", "0", "1", "-1", "NaN", "inf", "1e999", "x" * 5000),
    *("../x", "../../../../etc/passwd", "/etc/passwd", ".", "..", "a/b", "CON", "=1+1", "-rf", "%s%n{0}"),
    *(
        "\x00",
        "a\x00b",
        "\x1b[31mred\x1b]0;t\x07",
        "a\r\nb",
        "\u202egnp.exe",
        "\ufeff",
        "\ud800",
        "\U0010ffff",
    ),
    *("<script>alert(1)</script>", "]]>", "{{7*7}}", "$x$", "![](http://127.0.0.1/)", "PASS", "FAIL"),
    *([], {}, [None], [[]], [{}], {"": None}, {"a": {"b": []}}, [1, "a", None], ["a"] * 50),
    *("2026-11-23T02:59:27+00:00", "99999-01-01", "2026-02-30T25:61:61", "rest-1", "127.0.0.1:1"),
)
"""Values that may stand where another is expected."""

OUTSIDE = ("/etc/passwd", "/dev/zero", "/dev/stdin", "/proc/self/environ", "/proc/self/mem", "/etc")
"""Where links lead that nobody should follow."""


def damage(folder: Path, random: Random) -> str:
    """Damage one file or one sub folder of a folder in place; what was done, in a few words."""
    files, folders = _inside(folder)
    if folders and (not files or random.random() < 0.06):
        target, ways = random.choice(folders), OF_FOLDERS
    elif files:
        target = random.choice(files)
        ways = OF_SUFFIX.get(target.suffix, OF_FILES) if random.random() < 0.75 else OF_FILES
    else:
        return "nothing left to damage"
    way = random.choice(ways)
    name = target.relative_to(folder)
    try:
        return f"{name}: {way.__name__.strip('_')} {way(target, random) or ''}".rstrip()
    except (OSError, ValueError, RecursionError) as problem:
        return f"{name}: {way.__name__.strip('_')} was not possible ({type(problem).__name__})"


def _inside(folder: Path) -> tuple[list[Path], list[Path]]:
    """The regular files and the real folders below a folder, in order; no link is followed."""
    files, folders = [], []
    for where, names, others in os.walk(folder):
        folders += [Path(where, name) for name in names if not Path(where, name).is_symlink()]
        files += [Path(where, name) for name in others if stat.S_ISREG(os.lstat(Path(where, name)).st_mode)]
    return sorted(files), sorted(folders)


Way = Callable[[Path, Random], str | None]

# Any file


def _truncated(path: Path, random: Random) -> str:
    size = path.stat().st_size
    kept = random.choice([0, 1, size // 2, max(0, size - 1), random.randint(0, size)])
    os.truncate(path, kept)
    return f"to {kept} of {size} bytes"


def _flipped(path: Path, random: Random) -> str:
    content = bytearray(path.read_bytes())
    count = random.choice([1, 1, 3, 30])
    for _ in range(count if content else 0):
        content[random.randrange(len(content))] = random.randrange(256)
    path.write_bytes(content)
    return f"{count} bytes"


def _inserted(path: Path, random: Random) -> str:
    content = path.read_bytes()
    given = random.choice(
        [b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\r", b"\x1b[31m", b"}", b'"']
    )
    at = random.choice([0, len(content), random.randint(0, len(content))])
    path.write_bytes(content[:at] + given * random.choice([1, 1, 100]) + content[at:])
    return f"{given!r} at {at}"


def _repeated(path: Path, _: Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content * 2)


def _removed(path: Path, _: Random) -> None:
    path.unlink()


def _a_folder(path: Path, _: Random) -> None:
    path.unlink()
    path.mkdir()


def _a_pipe(path: Path, _: Random) -> None:
    path.unlink()
    os.mkfifo(path)


def _a_link(path: Path, random: Random) -> str:
    target = random.choice([*OUTSIDE, path.name, ".", "..", "../run.json", "missing", "../../run.json"])
    path.unlink()
    path.symlink_to(target)
    return f"to {target}"


def _sparse(path: Path, random: Random) -> str:
    size = random.choice([65 * 2**20, 100 * 2**20])
    os.truncate(path, size)
    return f"{size // 2**20} MiB"


def _swapped(path: Path, random: Random) -> str:
    root = path.parent.parent if path.parent.name in FOLDERS else path.parent
    other = random.choice(_inside(root)[0])
    mine, theirs = path.read_bytes(), other.read_bytes()
    path.write_bytes(theirs)
    other.write_bytes(mine)
    return f"with {other.name}"


def _renamed(path: Path, random: Random) -> str:
    name = random.choice(["-rf", "a\nb", "\x1b[31m", "x" * 200, "ü\udcff", "=1+1", "<b>", ".hidden"])
    path.rename(path.with_name(name + path.suffix))
    return repr(name)


# JSON and lines of JSON


def _tree(path: Path, random: Random) -> str:
    tree = json.loads(path.read_bytes())
    tree, what = _changed(tree, random)
    path.write_text(_dumped(tree), encoding="utf-8", errors="surrogatepass")
    return what


def _lines(path: Path, random: Random) -> str:
    lines = path.read_text("utf-8", "replace").splitlines()
    every = random.random() < 0.3
    at = random.randrange(len(lines)) if lines else 0
    seed = random.getrandbits(32)
    what = "no lines"
    for number in range(len(lines)) if every else [at] if lines else []:
        tree, what = _changed(json.loads(lines[number]), Random(seed))
        lines[number] = _dumped(tree)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="surrogatepass")
    return f"{'every line' if every else f'line {at}'}: {what}"


def _line(path: Path, random: Random) -> str:
    lines = path.read_text("utf-8", "replace").splitlines()
    given = random.choice(["null", "[]", "1", '"x"', "{", "", *RAW, "x" * (9 * 2**20)])
    lines.insert(random.randint(0, len(lines)), given)
    path.write_text("\n".join(lines) + "\n")
    return f"{given:.20}"


def _shuffled(path: Path, random: Random) -> None:
    lines = path.read_text("utf-8", "replace").splitlines()
    random.shuffle(lines)
    path.write_text("\n".join(lines) + "\n")


def _raw(path: Path, random: Random) -> str:
    """A text that is no value of Python, in the place of a value."""
    text = path.read_text("utf-8", "replace")
    places = [at for at, letter in enumerate(text) if letter == ":" and text[at + 1 : at + 2] == " "]
    given = random.choice(RAW)
    if places:
        at = random.choice(places) + 2
        end = min((e for e in (text.find(sign, at) for sign in ",]}\n") if e > 0), default=len(text))
        text = text[:at] + given + text[end:]
    path.write_text(text)
    return f"{given:.20}"


def _dumped(tree: Any) -> str:
    return json.dumps(tree, ensure_ascii=bool(len(str(tree)) % 2)) if _plain(tree) else json.dumps(tree)


def _plain(tree: Any) -> bool:
    try:
        json.dumps(tree, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _changed(tree: Any, random: Random) -> tuple[Any, str]:
    """A tree with one place changed; small places are as likely as large ones."""
    places = list(_places(tree))
    if not places:
        return random.choice(VALUES), "the whole"
    parent, key = random.choice(places)
    way = random.choice(["value", "value", "value", "value", "gone", "twice", "key", "number"])
    shown = f"{key!r}"
    if way == "gone":
        del parent[key]
    elif way == "twice" and isinstance(parent, list):
        parent.append(parent[key])
    elif way == "key" and isinstance(parent, dict):
        parent[random.choice(["x", "", "../x", "schema_version", f"{key} "])] = parent.pop(key)
    elif way == "number" and isinstance(parent[key], int | float):
        parent[key] = random.choice(
            [-parent[key], parent[key] * 10**9, parent[key] / 1e9, float(parent[key])]
        )
    else:
        parent[key] = random.choice(VALUES)
        shown += f" = {parent[key]!r:.40}"
    return tree, f"{way} {shown:.70}"


def _places(tree: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    open_ = [tree]
    while open_ and len(found) < 2000:
        here = open_.pop(0)
        if isinstance(here, dict | list):
            keys = list(here) if isinstance(here, dict) else range(len(here))
            found += [(here, key) for key in keys]
            open_ += [here[key] for key in keys]
    return found


# Text


def _text(path: Path, random: Random) -> str:
    """A value of a TOML file, or a word of another text, replaced."""
    lines = path.read_text("utf-8", "replace").splitlines()
    numbered = [n for n, line in enumerate(lines) if "=" in line] or list(range(len(lines)))
    if not numbered:
        return "is empty"
    at = random.choice(numbered)
    key = lines[at].partition("=")[0]
    value = random.choice(VALUES)
    given = random.choice([json.dumps(value), "nan", "inf", "9" * 5000, "1e400", "[" * 3000, "1979-05-27"])
    lines[at] = f"{key}= {given}"
    path.write_text("\n".join(lines) + "\n")
    return f"{key.strip()} = {given:.40}"


# Folders


def _folder_removed(path: Path, _: Random) -> None:
    shutil.rmtree(path)


def _folder_a_file(path: Path, _: Random) -> None:
    shutil.rmtree(path)
    path.write_bytes(b"{}")


def _folder_a_link(path: Path, random: Random) -> str:
    target = random.choice([".", "..", "/etc", "/proc/self", path.name, "/dev", "samples", "missing"])
    shutil.rmtree(path)
    path.symlink_to(target)
    return f"to {target}"


def _folder_with_a_loop(path: Path, random: Random) -> None:
    (path / random.choice(["loop", "loop.parquet", "loop.json", "loop.jsonl", "loop.cfg"])).symlink_to(".")


def _folder_with_another(path: Path, random: Random) -> str:
    name = random.choice(
        ["x.parquet", "H9.json", "visits.json", "E2-2.json", "x.cfg", "\x1b[31m.json", "a\nb.json"]
    )
    kind = random.choice([os.mkfifo, Path.mkdir, Path.touch, lambda path: path.symlink_to("/etc/passwd")])
    kind(path / name)
    return f"{name!r}"


def _folder_moved(path: Path, random: Random) -> str:
    name = random.choice(["\x1b[31mred", "a\nb", "<b>", "=1", "ü\udcff"])
    path.rename(path.with_name(name))
    return f"{name!r}"


FOLDERS = ("samples", "ledger", "actions", "watch", "evidence", "proxy", "report")

OF_FILES: tuple[Way, ...] = (
    *(
        _truncated,
        _truncated,
        _flipped,
        _flipped,
        _inserted,
        _removed,
        _a_folder,
        _a_pipe,
        _a_link,
        _a_link,
    ),
    *(_sparse, _swapped, _swapped, _renamed, _repeated),
)
OF_SUFFIX: dict[str, tuple[Way, ...]] = {
    ".json": (_tree,) * 8 + (_raw,),
    ".jsonl": (_lines,) * 5 + (_line, _shuffled, _raw),
    ".parquet": tuple(damaged_parquet.WAYS),
    ".toml": (_text,),
    ".cfg": (_text,),
}
OF_FOLDERS: tuple[Way, ...] = (
    *(_folder_removed, _folder_a_file, _folder_a_link, _folder_a_link, _folder_with_a_loop),
    *(_folder_with_another, _folder_with_another, _folder_moved),
)

if __name__ == "__main__":  # python -m tests.fuzz.run_folders FOLDER SEED: see with your own eyes
    make(Path(sys.argv[1]))
    print(damage(Path(sys.argv[1]), Random(int(sys.argv[2]))))
