"""Reads keepalived's configuration: the VRRP settings of one of several proxies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pydantic import ValidationError

from calorimeter.core.errors import InputError, unknown
from calorimeter.core.vrrp import Vrrp

DEEPEST = 20
"""Blocks within blocks; keepalived knows four levels."""

_COMMENTS = ("#", "!")

_OF_INSTANCE: dict[str, tuple[str, type[int] | type[float]]] = {
    "priority": ("priority", int),
    "advert_int": ("advert_s", float),
    "preempt_delay": ("preempt_delay_s", float),
}
_OF_SCRIPT: dict[str, tuple[str, type[int] | type[float]]] = {
    "interval": ("check_interval_s", float),
    "timeout": ("check_timeout_s", float),
    "fall": ("check_fall", int),
    "rise": ("check_rise", int),
    "weight": ("check_weight", int),
}
"""Keyword → key of `Vrrp`, and its type."""


@dataclass(slots=True)
class KeepalivedBlock:
    """A block in braces: its words before the brace, its lines, and the blocks in it."""

    words: tuple[str, ...]
    lines: list[tuple[str, ...]] = field(default_factory=list)
    blocks: list[KeepalivedBlock] = field(default_factory=list)

    def word(self, name: str) -> str | None:
        """The word after a keyword; None if the keyword is absent, empty if nothing follows it."""
        found = [line for line in self.lines if line[0] == name]
        return (found[-1][1] if len(found[-1]) > 1 else "") if found else None

    def named(self, kind: str) -> Iterator[KeepalivedBlock]:
        """The blocks of a kind, such as `vrrp_instance`."""
        return (block for block in self.blocks if block.words[0] == kind)


def read(text: str, where: str = "keepalived.conf", instance: str | None = None) -> Vrrp:
    """The settings of a `vrrp_instance`, and of the `vrrp_script` that it tracks.

    Of several scripts the first is that of the proxy. Raises InputError if there is no such instance, if
    there are several and `instance` names none of them, or if a value is no number.
    """
    everything = parse(text, where)
    found = {block.words[-1]: block for block in everything.named("vrrp_instance")}
    if instance is None and len(found) > 1:
        raise InputError(where, "has several vrrp_instance", f"valid: one of {', '.join(found)}")
    name = instance or next(iter(found), None)
    if name is None:
        raise InputError(where, "has no vrrp_instance", "valid: a file of keepalived")
    if name not in found:
        raise unknown(where, "vrrp_instance", name, found)
    return _settings(found[name], _script(everything, found[name]), where)


def _script(everything: KeepalivedBlock, instance: KeepalivedBlock) -> KeepalivedBlock | None:
    tracked = [line for block in instance.named("track_script") for line in block.lines]
    scripts = {block.words[-1]: block for block in everything.named("vrrp_script")}
    found = next((line for line in tracked if line[0] in scripts), None)
    if found is None:
        return None
    script = scripts[found[0]]
    # `track_script { NAME weight N }` counts before the script's own weight.
    lines = [*script.lines, found[1:]] if found[1:2] == ("weight",) else script.lines
    return KeepalivedBlock(script.words, lines, script.blocks)


def _settings(instance: KeepalivedBlock, script: KeepalivedBlock | None, where: str) -> Vrrp:
    given: dict[str, object] = {}
    for block, of_block in ((instance, _OF_INSTANCE), (script, _OF_SCRIPT)):
        for keyword, (key, kind) in of_block.items():
            if block is not None and (word := block.word(keyword)) is not None:
                given[key] = _number(word, kind, f"{where}: {keyword}")
    if script is not None:
        given.setdefault("check_interval_s", 1.0)
    try:
        return Vrrp.model_validate({**given, "preempt": instance.word("nopreempt") is None})
    except ValidationError as problem:
        error = problem.errors(include_url=False)[0]
        words = {key: word for word, (key, _) in (_OF_INSTANCE | _OF_SCRIPT).items()}
        keyword = words.get(str(error["loc"][0]), str(error["loc"][0]))
        valid = error["msg"].removeprefix("Value error, ")
        raise InputError(f"{where}: {keyword}", f"{error['input']!r:.40} given", valid) from problem


def _number(word: str, kind: type[int] | type[float], where: str) -> object:
    try:
        return kind(word)
    except ValueError:
        raise InputError(where, f"{word!r:.40} given", "valid: a number") from None


def parse(text: str, where: str = "keepalived.conf") -> KeepalivedBlock:
    """The blocks of a file, in one block without words. Raises InputError if its braces do not match."""
    stack = [KeepalivedBlock(())]
    for number, line in enumerate(text.splitlines(), start=1):
        for words, brace in _statements(line):
            if brace == "{" and words:
                stack[-1].blocks.append(block := KeepalivedBlock(words))
                stack.append(block)
            elif words:
                stack[-1].lines.append(words)
            if brace == "}":
                stack.pop()
            if not 0 < len(stack) <= DEEPEST or (brace == "{" and not words):
                raise InputError(f"{where}:{number}", f"an unexpected {brace!r}", "valid: BLOCK { … }")
    if len(stack) > 1:
        raise InputError(where, f"the block {' '.join(stack[-1].words)!r:.60} does not end", "valid: }")
    return stack[0]


def _statements(line: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """The words before each brace of a line, and that brace (empty at the end of the line)."""
    words: list[str] = []
    for word in _words(line):
        if word in ("{", "}"):
            yield tuple(words), word
            words = []
        else:
            words.append(word)
    if words:
        yield tuple(words), ""


def _words(line: str) -> Iterator[str]:
    """The words of a line up to its comment; a quoted text is one word."""
    word, quote, inside = "", "", False
    for character in line:
        if quote:
            quote = "" if character == quote else quote
            word += "" if not quote else character
        elif character in "\"'":
            quote, inside = character, True
        elif character.isspace() or character in "{}":
            if word or inside:
                yield word
            word, inside = "", False
            if not character.isspace():
                yield character
        elif character in _COMMENTS and not word:
            return
        else:
            word += character
    if word or inside:
        yield word
