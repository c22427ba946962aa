"""Removes passwords from text before it is shown or kept: by their values, and line by line.

Values are known if the files that hold them are (`SecretValues`). Lines of other origin, and passwords that
are ordinary words, are masked by what the line looks like (`mask`).
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from urllib.parse import unquote

MASK = "********"
SECRET_NAME = re.compile(
    r"passw(?:or)?d|passphrase|secret|encryption_?key|(?:api|private|access)_?key\b|token\b|credential",
    re.IGNORECASE,
)
"""What the name of an option, variable or header with a secret has in it."""
_IN_URL = re.compile(r"(://[^:/@\s]*:)\S*@")
"""Up to the last `@`: a password that was not percent-encoded may contain any character."""
_URL_VALUE = re.compile(r"^([ +\-]?[\s#;]*[\w.]+\s*[=:]\s*[\w+]+://[^:/@\s]*:).*@")
_CONTINUED_URL = re.compile(r"^([ +\-]?\s+[^\s:/@,]*:)[^\s,]*@")
_BY_NAME = re.compile(
    r"^([ +\-]?[\s#;]*[\w.]*(?:passw(?:or)?d|passphrase|secret|encryption_key|admin_token)\w*\s*[=:]\s*)"
    r"(\S.*)$",
    re.IGNORECASE,
)
_HAPROXY = re.compile(
    r"^([ +\-]?[\s#;]*(?:stats\s+auth\s+[^:\s]+:|user\s+\S+\s+(?:insecure-)?password\s+"
    r"|(?:pre)?setenv\s+\S*(?:pass|secret|token|key)\S*\s+"
    r"|.*\b(?:authorization|cookie|x-[\w-]*(?:token|key|auth|secret)[\w-]*)\s+))(.+)$",
    re.IGNORECASE,
)
_ESCAPED = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2}))")
_BLANKS = re.compile(r"[ \t\r\n\f\v]+")
_LONG = 8
"""A value of this length is masked wherever it is; a shorter one where it is a word of its own."""


def mask(line: str) -> str:
    """Replace the passwords in one line; the rest of the line stays as it is."""
    body = line.rstrip("\r\n")
    end = line[len(body) :]
    for pattern in (_BY_NAME, _HAPROXY):
        match = pattern.match(body)
        if match:
            return f"{match[1]}{MASK}{end}"
    for pattern in (_URL_VALUE, _CONTINUED_URL, _IN_URL):
        body = pattern.sub(lambda match: f"{match[1]}{MASK}@", body)
    return body + end


def mask_all(text: str) -> str:
    """Replace the passwords in every line of a text."""
    return "".join(mask(line) for line in text.splitlines(keepends=True))


@dataclass(frozen=True, slots=True)
class SecretValues:
    """Secrets by their values; `words` are those that are ordinary words, too (`heat`, `guest`).

    A word is masked only in sentences about an option with a secret: elsewhere it means something else.
    """

    values: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"SecretValues({len(self.values)} values, {len(self.words)} words)"

    def hide(self, text: str) -> str:
        """Replace every value in a text, as it is or quoted for a URL, a file, HTML, JSON or Python."""
        plain = _plain(text)
        for value in self.values:
            if _plain_value(value) in plain:
                text = _pattern(value).sub(MASK, text)
        return _IN_URL.sub(lambda match: f"{match[1]}{MASK}@", text)

    def hide_in_sentence(self, text: str) -> str:
        """Replace every value, and the ordinary words too if the sentence names an option with a secret."""
        text = self.hide(text)
        if self.words and SECRET_NAME.search(re.sub(r"\[\w+\]", "", text)):
            for word in self.words:
                text = re.sub(rf"(?<![\w.-]){re.escape(word)}(?![\w-])", MASK, text)
        return text

    def hide_lines(self, text: str) -> str:
        """Replace the secrets in lines of the files, by their values and by what the lines look like."""
        return mask_all(self.hide(text))


def secret_values(values: Iterable[str], words: Iterable[str] = ()) -> SecretValues:
    """The secrets with these values; the longest are replaced first."""
    longest = sorted({value for value in values if value.strip()}, key=lambda value: (-len(value), value))
    return SecretValues(tuple(longest), tuple(sorted(set(words))))


def _plain(text: str) -> str:
    """The text without all that quotes a character, to find quickly what may be in it."""
    text = html.unescape(unquote(unquote(text)))
    if "\\" in text:
        text = _ESCAPED.sub(lambda match: chr(int(match[1] or match[2], 16)), text)
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return re.sub(r"[ \t\r\n\f\v+\\]", "", text).replace("$$", "$")


_plain_value = cache(_plain)


@cache
def _pattern(value: str) -> re.Pattern[str]:
    found = "".join(_quoted(char) for char in _BLANKS.sub(" ", value))
    if len(value) < _LONG:
        found = rf"(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{{2}})){found}(?![A-Za-z0-9])"
    return re.compile(found)


@cache
def _quoted(char: str) -> str:
    """A pattern of a character, and of all the ways to quote it, the longest first."""
    code = ord(char)
    octets = char.encode("utf-8", "surrogatepass")
    ways = ["".join(f"%(?:25)?(?i:{byte:02x})" for byte in octets)]
    if char == " ":
        ways += [r"\\?[ \t\r\n\f\v]+", r"\+"]
    elif char == "$":
        ways += [r"\\?\$\$?"]
    elif not char.isalnum():
        named = html.escape(char)
        ways += [rf"&#(?:{code}|x(?i:{code:x}));", *([re.escape(named)] if named != char else [])]
        ways += [rf"\\*{re.escape(char)}"]
    if not 0x20 <= code < 0x7F:
        pairs = char.encode("utf-16-be", "surrogatepass").hex()
        units = (pairs[at : at + 4] for at in range(0, len(pairs), 4))
        ways += ["".join(rf"\\u(?i:{unit})" for unit in units), rf"\\x(?i:{code:02x})", "\ufffd"]
    return f"(?:{'|'.join([*ways, re.escape(char)])})"
