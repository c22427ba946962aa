"""Changes applied to texts; what they did line by line; unified diffs that `patch -p1` applies."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from calorimeter.config.audit.model import Change


@dataclass(frozen=True, slots=True)
class Edit:
    """How one text became another: the line numbers removed from the old and added to the new text.

    `moved` is new line number → old line number, of the lines that both have.
    """

    removed: frozenset[int]
    added: frozenset[int]
    moved: Mapping[int, int]


def lines_of(text: str) -> list[str]:
    """The lines with their ends; only a line feed ends a line, as for HAProxy, oslo.config and `patch`."""
    *whole, rest = text.split("\n")
    return [line + "\n" for line in whole] + ([rest] if rest else [])


def applied(texts: Mapping[str, str], changes: Iterable[Change]) -> dict[str, str]:
    """The texts with the changes applied; of two changes of the same line only the first is applied."""
    by_file: dict[str, list[Change]] = {}
    for change in dict.fromkeys(changes):
        group = by_file.setdefault(change.file, [])
        if not any(_overlap(change, other) for other in group):
            group.append(change)
    result = dict(texts)
    for file, group in by_file.items():
        if file in result:
            result[file] = _changed(result[file], group)
    return result


def _overlap(one: Change, other: Change) -> bool:
    if not one.count and not other.count:
        return False  # both are inserted, in their order
    if not one.count or not other.count:
        inside, around = (one, other) if not one.count else (other, one)
        return around.line < inside.line < around.line + around.count
    return one.line < other.line + other.count and other.line < one.line + one.count


def _changed(text: str, changes: list[Change]) -> str:
    lines = lines_of(text)
    ended = not lines or lines[-1].endswith("\n")
    last_end = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    if not ended:
        lines[-1] += last_end
    # Changes are applied from the end of the file, so that line numbers above stay valid. Of several
    # insertions at one line the first comes first.
    order = sorted(enumerate(_one_header(changes)), key=lambda pair: (pair[1].line, pair[1].count, pair[0]))
    for _, change in reversed(order):
        start = min(change.line - 1, len(lines))
        end = _line_end(lines, start)
        ends_here = start + change.count >= len(lines)
        lines[start : start + change.count] = [line.rstrip("\r") + end for line in change.lines]
        ended = ended or (ends_here and bool(change.lines) and not change.count)
    result = "".join(lines)
    return result if ended else result.removesuffix(last_end)


def _line_end(lines: list[str], at: int) -> str:
    """The line end that a line at this index has, or that of its neighbour."""
    near = lines[at] if at < len(lines) and lines[at] != "\n" else lines[at - 1] if lines else "\n"
    return "\r\n" if near.endswith("\r\n") else "\n"


def _one_header(changes: list[Change]) -> list[Change]:
    """Merge insertions of options into the same new group, so that its header is written once."""
    merged: dict[tuple[int, str], Change] = {}
    rest: list[Change] = []
    for change in changes:
        if change.count or not change.lines or not change.lines[0].startswith("["):
            rest.append(change)
            continue
        key = (change.line, change.lines[0])
        before = merged[key].lines if key in merged else change.lines[:1]
        merged[key] = Change(change.file, change.line, 0, before + change.lines[1:])
    return rest + list(merged.values())


def edit_of(old: str, new: str) -> Edit:
    """How `old` became `new`."""
    olds, news = lines_of(old), lines_of(new)
    removed, added = set(range(1, len(olds) + 1)), set(range(1, len(news) + 1))
    moved: dict[int, int] = {}
    for before, after, size in _same(olds, news):
        for step in range(1, size + 1):
            moved[after + step] = before + step
            removed.discard(before + step)
            added.discard(after + step)
    return Edit(frozenset(removed), frozenset(added), moved)


def changes_of(file: str, old: str, new: str) -> Iterator[Change]:
    """The changes of lines that make `new` of `old`."""
    olds, news = lines_of(old), lines_of(new)
    old_at = new_at = 0
    for before, after, size in _same(olds, news):
        if before > old_at or after > new_at:
            lines = tuple(line.rstrip("\r\n") for line in news[new_at:after])
            yield Change(file, old_at + 1, before - old_at, lines)
        old_at, new_at = before + size, after + size


def _same(olds: list[str], news: list[str]) -> Iterator[tuple[int, int, int]]:
    """(index in the old, index in the new, number) of lines that both have; the last has number 0."""
    start = 0
    while start < min(len(olds), len(news)) and olds[start] == news[start]:
        start += 1
    end = 0
    while end < min(len(olds), len(news)) - start and olds[-1 - end] == news[-1 - end]:
        end += 1
    if start:
        yield 0, 0, start
    middle = difflib.SequenceMatcher(
        None, olds[start : len(olds) - end], news[start : len(news) - end], autojunk=False
    )
    for before, after, size in middle.get_matching_blocks():
        if size:
            yield before + start, after + start, size
    if end:
        yield len(olds) - end, len(news) - end, end
    yield len(olds), len(news), 0


def diff(name: str, before: str, after: str, *, context: int = 3) -> str:
    """The unified diff of one file; empty if nothing changes."""
    lines = difflib.unified_diff(lines_of(before), lines_of(after), n=context)
    hunks = [line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines]
    if not hunks:
        return ""
    return "".join((f"--- {_header(f'a/{name}')}\n", f"+++ {_header(f'b/{name}')}\n", *hunks[2:]))


def _header(name: str) -> str:
    """A file name as `patch` reads it: quoted with control characters, ended by a tab with blanks."""
    if re.search(r'[\x00-\x1f\x7f"\\]', name):
        octal = (
            chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\' else f"\\{byte:03o}"
            for byte in name.encode("utf-8", "surrogateescape")
        )
        return f'"{"".join(octal)}"'
    return f"{name}\t" if " " in name else name
