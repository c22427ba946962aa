"""Mutations of valid samples, and values that are valid nowhere, as Hypothesis strategies."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

Lines = list[bytes]

WORDS: tuple[bytes, ...] = (
    *(b"", b" ", b"0", b"-1", b"1", b"65536", b"99999999999999999999", b"9" * 5000, b"1e309", b"0x10"),
    *(b"nan", b"inf", b"-inf", b"1_000", b"true", b"null", b"None", b"[]", b"{}", b'""'),
    *("²".encode(), "٣".encode(), "é".encode(), "ﬀ".encode(), "\u202e".encode(), "\u2028".encode()),
    *(b"\xed\xa0\x80", b"\xff\xfe", b"\x00", b"\x1b[31m", b"\x1b]0;x\x07", b"\x85", b"\x0c", b"\r"),
    *(
        b"a" * 300,
        b"a" * 65536,
        b"[" * 2000,
        b"{" * 2000,
        b"(" * 500,
        b'"',
        b"'",
        b"\\",
        b"#",
        b"%s",
        b"${HOME}",
    ),
    *(
        b"../../../etc/passwd",
        b"/dev/zero",
        b"/",
        b".",
        b"http://[",
        b"http://[::1",
        b"//",
        b":",
        b"@",
        b"=",
    ),
    *(
        b"=cmd()",
        b"<script>",
        b"a:b@c",
        b"127.0.0.1:99999",
        b"::1",
        b"fe80::1%lo",
        b"*",
        b"1s",
        b"1" * 400 + b"s",
    ),
)
"""What stands instead of a word, a number or a line."""


def _at(lines: Lines, a: int) -> int:
    return a * len(lines) // 65536


def _drop(lines: Lines, a: int, b: int, word: bytes) -> None:
    del lines[_at(lines, a) : _at(lines, a) + 1 + b % 3]


def _repeat(lines: Lines, a: int, b: int, word: bytes) -> None:
    lines.insert(_at(lines, b), lines[_at(lines, a)])


def _swap(lines: Lines, a: int, b: int, word: bytes) -> None:
    one, other = _at(lines, a), _at(lines, b)
    lines[one], lines[other] = lines[other], lines[one]


def _insert(lines: Lines, a: int, b: int, word: bytes) -> None:
    lines.insert(_at(lines, a), word)


def _join(lines: Lines, a: int, b: int, word: bytes) -> None:
    at = _at(lines, a)
    lines[at : at + 2] = [b"".join(lines[at : at + 2])]


def _cut(lines: Lines, a: int, b: int, word: bytes) -> None:
    at = _at(lines, a)
    lines[at] = lines[at][: b * len(lines[at]) // 65536]


def _end(lines: Lines, a: int, b: int, word: bytes) -> None:
    del lines[_at(lines, a) + 1 :]
    _cut(lines, a, b, word)


def _number(lines: Lines, a: int, b: int, word: bytes) -> None:
    """Replace a number; from the line drawn on, the first line that has one."""
    _replace(rb"-?\d+(?:\.\d+)?", lines, a, b, word)


def _word(lines: Lines, a: int, b: int, word: bytes) -> None:
    _replace(rb"[\w./:-]+", lines, a, b, word)


def _replace(pattern: bytes, lines: Lines, a: int, b: int, word: bytes) -> None:
    for at in range(_at(lines, a), len(lines)):
        found = list(re.finditer(pattern, lines[at][:4096]))
        if found:
            one = found[b * len(found) // 65536]
            lines[at] = lines[at][: one.start()] + word + lines[at][one.end() :]
            return


def _into(lines: Lines, a: int, b: int, word: bytes) -> None:
    at = _at(lines, a)
    place = b * (len(lines[at]) + 1) // 65536
    lines[at] = lines[at][:place] + word + lines[at][place:]


def _flip(lines: Lines, a: int, b: int, word: bytes) -> None:
    at = _at(lines, a)
    if lines[at]:
        place = b * len(lines[at]) // 65536
        lines[at] = lines[at][:place] + bytes([lines[at][place] ^ (1 << b % 8)]) + lines[at][place + 1 :]


_OF_LINES: tuple[Callable[[Lines, int, int, bytes], None], ...] = (
    *(
        _drop,
        _repeat,
        _swap,
        _insert,
        _join,
        _cut,
        _end,
        _number,
        _number,
        _word,
        _word,
        _word,
        _into,
        _flip,
    ),
)


def _utf16(text: bytes) -> bytes:
    return text.decode("utf-8", "replace").encode("utf-16")


_OF_WHOLE: tuple[Callable[[bytes], bytes], ...] = (
    lambda text: b"\xef\xbb\xbf" + text,
    lambda text: text.replace(b"\n", b"\r\n"),
    lambda text: text.replace(b"\n", b"\r"),
    lambda text: text.replace(b" ", b"\t"),
    lambda text: text.replace(b" ", "\u00a0".encode()),
    _utf16,
    lambda text: text.decode("utf-8", "replace").encode("latin-1", "replace"),
    lambda text: text + b"\x00" * 64,
    lambda text: text.rstrip(b"\n"),
    lambda text: text * 3,
    lambda text: b"",
)

_PLACES = st.integers(0, 65535)


@st.composite
def texts(draw: st.DrawFn, samples: Sequence[bytes], words: Sequence[bytes] = ()) -> bytes:
    """One of the samples with up to six mutations; `words` are further words to put in."""
    lines = draw(st.sampled_from(samples)).split(b"\n")
    word = st.sampled_from([*words, *WORDS]) if words else st.sampled_from(WORDS)
    for _ in range(draw(st.sampled_from((0, 1, 1, 1, 2, 2, 3, 6)))):
        if draw(st.integers(0, 9)) == 7:  # splice: the first part of this, the last of another
            other = draw(st.sampled_from(samples)).split(b"\n")
            lines = lines[: _at(lines, draw(_PLACES))] + other[_at(other, draw(_PLACES)) :]
        lines = lines or [b""]
        draw(st.sampled_from(_OF_LINES))(lines, draw(_PLACES), draw(_PLACES), draw(word))
    text = b"\n".join(lines)
    return draw(st.sampled_from(_OF_WHOLE))(text) if draw(st.integers(0, 19)) == 13 else text


def deep(kind: str, depth: int) -> Any:
    """A list or a table in itself, `depth` times."""
    tree: Any = 1
    for _ in range(depth):
        tree = [tree] if kind == "list" else {"a": tree}
    return tree


VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2**31,
        2**63,
        2**64,
        10**30,
        0.5,
        -0.0,
        1e308,
        float("inf"),
        float("nan"),
    ),
    *(
        "",
        " ",
        "0",
        "²",
        "nan",
        "a" * 300,
        "a" * 70_000,
        "\x00",
        "\x1b[31m",
        "\n",
        "\r\n",
        "\ud800",
        "\u202e",
    ),
    *("../x", "/dev/zero", "http://[", "<script>", "=cmd()", "${HOME}", "%s", "1s", "tcp", "source"),
    *(
        [],
        {},
        [[]],
        [None],
        {"": ""},
        {"a": {"b": []}},
        [1, "a", {}],
        {"\x00": 1},
        deep("list", 60),
        deep("dict", 60),
    ),
    *(deep("list", 200), ["a"] * 3000, {str(n): n for n in range(3000)}),
)
"""What stands instead of a value of a tree."""


def paths(tree: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a tree of lists and dicts."""
    found = [here]
    if isinstance(tree, dict):
        found += [path for key in tree for path in paths(tree[key], (*here, key))]
    elif isinstance(tree, list):
        found += [path for at, each in enumerate(tree) for path in paths(each, (*here, at))]
    return found


def _changed(tree: Any, path: tuple[Any, ...], change: Callable[[Any, Any], None]) -> Any:
    if not path:
        return tree
    parent = tree
    for key in path[:-1]:
        parent = parent[key]
    change(parent, path[-1])
    return tree


@st.composite
def trees(draw: st.DrawFn, samples: Sequence[Any]) -> Any:
    """One of the samples with up to four of its values replaced, removed, wrapped or moved."""
    tree = json.loads(json.dumps(draw(st.sampled_from(samples))))
    for _ in range(draw(st.integers(0, 4))):
        every = paths(tree)[:500]
        path = draw(st.sampled_from(every))
        action = draw(st.integers(0, 7))
        other = deepcopy(draw(st.sampled_from(VALUES)))

        def change(parent: Any, key: Any, action: int = action, other: Any = other) -> None:
            if action == 0:
                del parent[key]
            elif action == 1:
                parent[key] = [parent[key]]
            elif action == 2:
                parent[key] = {"a": parent[key]}
            elif action == 3 and isinstance(parent, dict):
                parent[str(other)[:60]] = parent.pop(key)
            elif action == 4 and isinstance(parent, list):
                parent.extend(parent[:1] * 3)
            else:
                parent[key] = other

        tree = _changed(tree, path, change) if path else (tree if action else other)
    return tree


def toml(tree: Any) -> bytes:
    """A tree as TOML, with everything inline; what TOML has no form for is left as JSON would write it."""
    if not isinstance(tree, dict):
        return _value(tree).encode("utf-8", "surrogatepass")
    lines = (f"{json.dumps(str(key))} = {_value(value)}\n" for key, value in tree.items())
    return "".join(lines).encode("utf-8", "surrogatepass")


def _value(tree: Any) -> str:
    if isinstance(tree, dict):
        return "{ " + ", ".join(f"{json.dumps(str(k))} = {_value(v)}" for k, v in tree.items()) + " }"
    if isinstance(tree, list):
        return f"[{', '.join(map(_value, tree))}]"
    if isinstance(tree, bool) or tree is None or isinstance(tree, str):
        return json.dumps(tree)
    return repr(tree)
