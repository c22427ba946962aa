"""Removes passwords from text before it is shown or kept: by their values, and line by line.

Values are known if the files that hold them are (`SecretValues`). Lines of other origin, and passwords that
are ordinary words, are masked by what the line looks like (`mask`).
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from urllib.parse import quote, quote_plus, unquote

from calorimeter.core.secrecy import haproxy_secrets, quoted_text, secret_text
from calorimeter.core.secrecy.quoted_text import PlainText
from calorimeter.core.secrecy.secret_text import MASK, SECRET_NAME, is_secret_name

__all__ = [
    "MASK",
    "SECRET_NAME",
    "SecretValues",
    "basic",
    "classified",
    "hide_urls",
    "mask",
    "mask_all",
    "of_proxies",
    "secret_values",
]

_SIGN = re.compile(r"[ +\-]?[\s#;]*")
_NAME = re.compile(r"[\w.]*")
_SEPARATOR = re.compile(r"[ \t]*[=:][ \t]*(?=\S)")
_WHOLE_URL = re.compile(r"[\w+]{1,64}://")
_CONTINUED_URL = re.compile(r"[ +\-]?\s+[^\s:/@,]*:")
_PLACEHOLDER = re.compile(
    r"\[.*\]|\$\{?[\w.]+\}?|%\w+%|<.*>|\{\{.*\}\}|\*+|none|true|false|\d+(?:\.\d+)*", re.IGNORECASE
)
_WORD = re.compile(r"[A-Za-z]+|\d+|.{1,7}", re.DOTALL)
"""Values that may be ordinary words; others are secrets wherever they are."""
_COMMON = frozenset(
    [
        "admin",
        "cinder",
        "default",
        "example",
        "glance",
        "guest",
        "heat",
        "keystone",
        "neutron",
        "none",
        "nova",
        "openstack",
        "password",
        "rabbit",
        "rabbitmq",
        "root",
        "secret",
        "service",
        "stackrabbit",
        "system",
        "test",
        "token",
        "user",
    ]
)
_LONGEST = 512
"""More characters are no password: the line is read wrongly."""
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{8,}={0,2}")
_LONG = 8
"""A value of this length is masked wherever it is; a shorter one where it is a word of its own."""


def mask(line: str) -> str:
    """Replace the passwords in one line; the rest of the line stays as it is."""
    body = line.rstrip("\r\n")
    end = line[len(body) :]
    sign = _end(_SIGN.match(body), 0)
    name_end = _end(_NAME.match(body, sign), sign)
    value = _end(_SEPARATOR.match(body, name_end), name_end)
    if value > name_end and is_secret_name(body[sign:name_end]):
        return f"{body[:value]}{MASK}{end}"
    if value > name_end and (url := _WHOLE_URL.match(body, value)):
        return haproxy_secrets.masked(_without_login(body, url.end())) + end
    return hide_urls(haproxy_secrets.masked(_without_continued_logins(body))) + end


def _without_continued_logins(body: str) -> str:
    """A line that goes on with the `user:password@host` of a URL, or of several."""
    colon = _end(_CONTINUED_URL.match(body), 0)
    if not colon:
        return body
    start = len(body) - len(body[1:].lstrip()) if body[:1] in "+-" else len(body) - len(body.lstrip())
    run, parts = body[start:].split(maxsplit=1)[0], list[str]()
    logins = run.split(",")
    if all(":" in login.partition("@")[0] and "@" in login for login in logins):
        parts = [f"{login.partition(':')[0]}:{MASK}@{login.rpartition('@')[2]}" for login in logins]
    elif "@" in run:
        parts = [f"{run.partition(':')[0]}:{MASK}@{run.rpartition('@')[2]}"]
    return body[:start] + (",".join(parts) or run) + body[start + len(run) :]


def _end(found: re.Match[str] | None, otherwise: int) -> int:
    return found.end() if found else otherwise


def _without_login(body: str, start: int) -> str:
    """A line that is one URL: a password in it that is not percent-encoded may contain any character."""
    colon, at = body.find(":", start), body.rfind("@")
    if 0 <= colon < at and not set(body[start:colon]) & set("/@ \t"):
        return f"{body[: colon + 1]}{MASK}{body[at:]}"
    return hide_urls(body)


def hide_urls(text: str) -> str:
    """Replace the passwords of the URLs in a text."""
    return secret_text.masked(text, secret_text.of_urls(text))


def mask_all(text: str) -> str:
    """Replace the passwords in every line of a text."""
    return "".join(mask(line) for line in re.findall(r"[^\n]*\n|[^\n]+", text))


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
        written = quoted_text.plain(text)
        spans: list[tuple[int, int]] = []
        for value in self.values:
            spans += _found(written, value)
            spans += _found_as_written(text, value)
        if self.values:
            spans += (match.span() for match in _BASE64.finditer(text) if self._is_login(match[0]))
        return hide_urls(secret_text.masked(text, spans))

    def _is_login(self, word: str) -> bool:
        return any(each in self.values for each in _password_in_base64(word))

    def hide_in_sentence(self, text: str) -> str:
        """Replace every value, and the ordinary words too if the sentence names an option with a secret."""
        text = self.hide(text)
        if self.words and SECRET_NAME.search(re.sub(r"\[\w+\]", "", text)):
            for word in self.words:
                text = re.sub(rf"(?<![\w.-]){re.escape(word)}(?![\w-])", MASK, text)
        return text

    def hide_lines(self, text: str) -> str:
        """Replace the secrets in lines of the files, by their values and by what the lines look like."""
        return self.hide(mask_all(text))


def classified(found: Iterable[str], texts: Iterable[str]) -> SecretValues:
    """The secrets that were found in texts, without placeholders.

    One that is an ordinary word, or is in the texts where they name no secret, is one of the `words`.
    """
    every = {each for value in found if re.search(r"\w", value) for each in _derived(value)}
    every = {value for value in every if len(value) <= _LONGEST and not _PLACEHOLDER.fullmatch(value)}
    plain = {value for value in every if _WORD.fullmatch(value)}
    words = {word for word in plain if len(word) <= 3} | (plain & _COMMON)
    if plain - words:
        words |= plain & set(re.findall(r"\w+", "\n".join(_active(text) for text in texts)))
    return secret_values(every - words, words)


def _derived(value: str) -> Iterator[str]:
    """A secret as it is, unquoted, and the password of a login, in base64 or not, or of a pattern."""
    yield from (each.strip() for each in {value, unquote(value)})
    user, colon, password = value.partition(":")
    if colon and user.isalnum() and len(password) >= _LONG:
        yield password
    if len(bare := value.strip("^$.*+?()/ ")) >= _LONG:
        yield bare
    yield from _password_in_base64(value)


def _password_in_base64(word: str) -> Iterator[str]:
    if len(word) > 2 * _LONGEST:
        return
    try:
        login = base64.b64decode(word + "=" * (-len(word) % 4), validate=True).decode()
    except ValueError:
        return
    if ":" in login:
        yield login.partition(":")[2]


def basic(user: str, password: str) -> str:
    """A login as an Authorization header has it, without the signs that fill it up."""
    text = f"{unquote(user)}:{unquote(password)}".encode("utf-8", "surrogatepass")
    return base64.b64encode(text).decode().rstrip("=")


def of_proxies(texts: Iterable[str]) -> SecretValues:
    """The secrets in HAProxy's files."""
    every = tuple(texts)
    found = {value for text in every for value in haproxy_secrets.values(text)}
    found |= {basic(*login) for text in every for login in haproxy_secrets.logins(text)}
    return classified(found, every)


def _active(text: str) -> str:
    """The text without comments and without what a line shows to be a secret."""
    return mask_all("".join(line for line in text.splitlines(True) if line.strip()[:1] not in ("#", ";")))


def secret_values(values: Iterable[str], words: Iterable[str] = ()) -> SecretValues:
    """The secrets with these values; the longest are replaced first."""
    longest = sorted({value for value in values if value.strip()}, key=lambda value: (-len(value), value))
    return SecretValues(tuple(longest), tuple(sorted(set(words))))


_plain_value = cache(lambda value: quoted_text.plain(value.strip(" \t\r\n\f\v")).text)


def _found(written: PlainText, value: str) -> Iterator[tuple[int, int]]:
    """Where a text has a value; a short one is no part of a longer word."""
    for start, end in written.find(_plain_value(value)):
        first, last = written.starts[start], written.ends[end - 1]
        if len(value) < _LONG:
            before, after = written.text[start - 1 : start], written.text[end : end + 1]
            quoted = start > 0 and first - written.starts[start - 1] > 1
            if (_is_word(before) and not quoted) or _is_word(after):
                continue
        yield first, last


def _found_as_written(text: str, value: str) -> Iterator[tuple[int, int]]:
    """Where a text has a value whose signs mean something when the quoting is taken off, in each form."""
    if len(value) < _LONG or not ("\\" in value or "$" in value):
        return
    for form in _forms(value):
        yield from quoted_text.occurrences(text, form)


@cache
def _forms(value: str) -> frozenset[str]:
    """A value as it is written in a URL, in JSON, in HTML, in oslo.config and in HAProxy."""
    plain = value.encode("utf-8", "replace").decode()
    urls = {quote(plain), quote(plain, safe=""), quote_plus(plain)}
    urls |= {re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), url) for url in urls}
    dumped = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    escaped = "".join(f"\\{char}" if char in " \"'#\\" else char for char in value)
    return frozenset({value, *urls, *dumped, html.escape(value), value.replace("$", "$$"), escaped})


def _is_word(char: str) -> bool:
    return char.isascii() and char.isalnum()
