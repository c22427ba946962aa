"""Finds and masks the secrets in HAProxy's configuration, after the words have been split as HAProxy does.

A line is read in every way in which it may be meant: with the variables that are set, with the defaults of
those that are not, and its comment as the statement that it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from calorimeter.core.bounds import is_digits
from calorimeter.core.secrecy import haproxy_words, secret_text
from calorimeter.core.secrecy.haproxy_words import WordPart
from calorimeter.core.secrecy.secret_text import MASK, Span

_MAY_HAVE = re.compile(
    r"auth|pass|pwd|secret|token|cred|key|hmac|aes_|cook|session|jwt|send|sig|env|-u|://|eyJ|gAAAA|[?&\"'\\$]",
    re.IGNORECASE,
)
_VARIABLE_NAME = re.compile(
    r"(?:.*[_.])?(?:key|pass|pwd?|cred|auth|authorization|login|userpass)s?(?:[_0-9].*)?", re.I | re.DOTALL
)
_NO_SECRET = ("_path", "_file", "_url", "_uri", "_host", "_port", "_user", "_type", "_realm", "_timeout")
_DEFAULT = re.compile(r"\$\{([A-Za-z_.]\w{0,99})-([^}$]{1,256})\}", re.ASCII)
_NAMED = frozenset(
    "set-header add-header early-hint set-param hdr replace-header replace-value".split()  # noqa: SIM905
)
"""Words that the name of a header, and then its value, follow."""
_ENDS = frozenset(
    "if unless hdr body body-lf meth uri uri-lf ver string lf-string file lf-file content-type "  # noqa: SIM905
    "errorfiles comment".split()
)
_KEYWORDS = frozenset(("dynamic-cookie-key", "cluster-secret"))
_SENT = frozenset("send send-lf send-binary send-binary-lf".split())  # noqa: SIM905
_QUERIES = ("query", "url", "capture.req.uri", "path", "pathq", "baseq")
_KEYS = {
    **{"jwt_verify": 1, "jwt_decrypt_secret": 0, "hmac": 1},
    **{"aes_gcm_dec": 2, "aes_gcm_enc": 2, "aes_cbc_dec": 2, "aes_cbc_enc": 2},
}
"""Functions of expressions → which of their arguments is a key."""
_COMMAND = re.compile(
    r"(?:^|[\r\n])(?:[\w.$*]{1,16} ){0,2}(?:AUTH|PASS|LOGIN)(?![^\s])([^\r\n]*)", re.IGNORECASE
)
_APOSTROPHE = re.compile(r"(?<=[a-z])'(?=[a-z])")
_DEEPEST = 32
"""Comments within comments that are read as statements; the words of deeper ones are read, too."""
_OPTION = re.compile(r"-{0,2}[\w-]{1,64}")
_PROSE = re.compile(r"[a-z]+[.,;:]?")


@dataclass(frozen=True, slots=True)
class Place:
    """A secret: the index of its word, and where in the word it is."""

    word: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Reading:
    """One way to read a line, or a part of it; `start` is where the part begins."""

    words: tuple[str, ...]
    parts: Sequence[Sequence[WordPart]]
    start: int = 0
    comment: bool = False


def values(text: str, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """The secrets in a configuration, as HAProxy reads them."""
    yield from (default for name, default in _DEFAULT.findall(text) if _is_secret_variable(name))
    for _, readings in _readings(text, environment or {}):
        for reading in readings:
            for place in places(reading.words, comment=reading.comment):
                value = reading.words[place.word][place.start : place.end]
                yield value
                sent = _from_hexadecimal(value)
                yield from (sent[start:end] for start, end in _of_commands(sent))


def logins(text: str, environment: Mapping[str, str] | None = None) -> Iterator[tuple[str, str]]:
    """The users and passwords of pages and user lists, which clients send as one word in base64."""
    for _, readings in _readings(text, environment or {}):
        for words in (reading.words for reading in readings):
            for index, word in enumerate(words):
                if word.endswith("password") and words[max(0, index - 2) : index - 1] == ("user",):
                    yield from ((words[index - 1], password) for password in words[index + 1 : index + 2])
                elif words[index : index + 2] == ("stats", "auth") and ":" in "".join(
                    words[index + 2 :][:1]
                ):
                    user, _, password = words[index + 2].partition(":")
                    yield user, password


def masked(text: str) -> str:
    """A configuration with its secrets masked where they are written; all else stays as it is."""
    return "".join(_masked_line(line, readings) for line, readings in _readings(text, {}))


def _readings(text: str, environment: Mapping[str, str]) -> Iterator[tuple[str, list[_Reading]]]:
    """Each line with its end, and the ways to read it."""
    variables = dict(environment)
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        readings = _of_line(line.rstrip("\r\n"), variables) if _MAY_HAVE.search(line) else []
        for words in (reading.words for reading in readings[:1]):
            if words[:1] in (("setenv",), ("presetenv",)) and len(words) > 2:
                variables[words[1]] = words[2]
        yield line, readings


def _of_line(line: str, variables: Mapping[str, str]) -> list[_Reading]:
    found = []
    for known in (variables, {}) if "$" in line else ({},):
        words, parts = haproxy_words.split_in_parts(line, known)
        found.append(_Reading(words.words, parts))
        if words.fault:
            found.append(_plain(line, 0))
        at = words.comment
        if at is not None:
            found.append(_plain(line, at))
            found += _of_comment(line, at, known)
            if "'" in line[at:]:
                prose = line[:at] + _APOSTROPHE.sub("_", line[at:])
                found += _of_comment(prose, at, known)
    return found


def _of_comment(line: str, at: int | None, known: Mapping[str, str]) -> Iterator[_Reading]:
    """A comment as the statement that it was, which may have a comment itself."""
    for _ in range(_DEEPEST):
        if at is None:
            return
        at += len(line[at:]) - len(line[at:].lstrip(" \t#"))
        words, parts = haproxy_words.split_in_parts(line[at:], known)
        yield _Reading(words.words, parts, at, comment=True)
        at = at + words.comment if words.comment is not None else None


def _plain(line: str, at: int) -> _Reading:
    """The words between blanks, whatever quotes there are: comments are prose, with apostrophes."""
    runs = [
        (run[0].strip("#\"'"), at + run.start() + len(run[0]) - len(run[0].lstrip("#\"'")))
        for run in re.finditer(r"\S+", line[at:])
        if run[0].strip("#\"'")
    ]
    parts = [[WordPart(char, n, n + 1) for n, char in enumerate(word, start)] for word, start in runs]
    return _Reading(tuple(word for word, _ in runs), parts, 0, comment=True)


def _masked_line(line: str, readings: Sequence[_Reading]) -> str:
    edits: list[tuple[int, int, str]] = []
    for reading in readings:
        by_word: dict[int, list[Span]] = {}
        for place in places(reading.words, comment=reading.comment):
            by_word.setdefault(place.word, []).append((place.start, place.end))
        for index, spans in by_word.items():
            for start, end, new in _edits(
                line[reading.start :], reading.parts[index], secret_text.joined(spans)
            ):
                edits.append((start + reading.start, end + reading.start, new))
    pieces, at = [], 0
    for start, end, new in _apart(edits):
        pieces += [line[at:start], new]
        at = end
    return "".join((*pieces, line[at:]))


def _edits(line: str, parts: Sequence[WordPart], spans: list[Span]) -> Iterator[tuple[int, int, str]]:
    """What to replace in a line so that the spans of a word are masked: the spans, or the whole word."""
    at, written, hidden = 0, list[tuple[WordPart, bool]](), list[list[WordPart]]()
    left = iter([*spans, (len(line) + 1, len(line) + 2)])
    span = next(left)
    for part in parts:
        while at >= span[1]:
            span = next(left)
        inside = bool(part.text) and at + len(part.text) > span[0]
        if inside and written and written[-1][1]:
            hidden[-1].append(part)
        elif inside:
            hidden.append([part])
        written.append((part, inside or (not part.text and span[0] < at < span[1])))
        at += len(part.text)
    secret = [group for group in hidden if not all(part.variable for part in group)]
    if not secret:
        return
    if not any(not part.text and inside for part, inside in written):
        for group in secret:
            yield group[0].start, group[-1].end, MASK
        return
    new = ""
    for part, inside in written:  # a quote begins or ends inside: the word is written anew
        if inside:
            new += "" if new.endswith(MASK) else MASK
        elif part.variable:
            new += f'"{line[part.start : part.end]}"'
        else:
            new += haproxy_words.quoted(part.text)
    yield parts[0].start, parts[-1].end, new


def _apart(edits: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """The edits in order; those that overlap become one mask."""
    found: list[tuple[int, int, str]] = []
    for start, end, new in sorted(set(edits), key=lambda edit: (edit[0], -edit[1])):
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]), MASK)
        else:
            found.append((start, end, new))
    return found


# What is a secret in a statement


def places(words: Sequence[str], *, comment: bool = False) -> Iterator[Place]:
    """The secrets in the words of a statement; in a comment the statement may stand among other words."""
    last = -1  # what is a value already announces nothing: time stays linear
    for index, word in enumerate(words):
        query = index > 0 and words[index - 1] == "set-query"
        yield from (Place(index, *span) for span in secret_text.spans(word, query=query))
        yield from _keys(index, word)
        if index > last:
            for place in _after(words, index, comment=comment):
                last = max(last, place.word)
                yield place


def _keys(index: int, word: str) -> Iterator[Place]:
    if "(" in word:
        for function, argument in _KEYS.items():
            for start, end in secret_text.arguments(word, function, argument):
                if not re.match(r"/|(?:txn|req|res|sess|proc)\.", word[start:end]):
                    yield Place(index, start, end)


def _after(words: Sequence[str], index: int, *, comment: bool) -> Iterator[Place]:
    """The secrets that a word announces, in the words after it."""
    word = words[index].lower()
    following = "".join(words[index + 1 : index + 2])
    before = words[index - 1].lower() if index else ""
    if word == "auth" and before == "stats" and ":" in following:
        yield Place(index + 1, following.index(":") + 1, len(following))
    elif word in _KEYWORDS or (word.endswith("password") and words[max(0, index - 2)].lower() == "user"):
        yield from _whole(words, index + 1, index + 2)
    elif word in ("setenv", "presetenv") and _is_secret_variable(following):
        for n in range(index + 2, len(words)):
            yield Place(n, secret_text.after_scheme(words[n]), len(words[n]))
    elif (word in _SENT and before == "tcp-check") or word == "agent-send":
        yield from _sent(words, index + 1)
    elif word == "acl" and len(words) > index + 3:
        yield from _condition(words, index + 2, len(words))
    elif word == "{":
        end = next((n for n in range(index, min(len(words), index + 512)) if words[n] == "}"), len(words))
        yield from _condition(words, index + 1, end)
    elif comment or words[0] in ("lua-load", "lua-load-per-thread", "command"):
        yield from _option(words, index, comment=comment)
    yield from _after_name(words, index, word, following)


def _after_name(words: Sequence[str], index: int, word: str, following: str) -> Iterator[Place]:
    """The secrets after the name of a header or of a variable."""
    before = words[index - 1] if index else ""
    if word in _NAMED and secret_text.is_secret_header(following):
        yield from _header(words, index + 2, following)
    elif word == "set-cookie" and before != "hdr":
        yield from (Place(index + 1, *span) for span in secret_text.header_value("cookie", following))
    elif word == "value" and words[max(0, index - 2)] == "name" and secret_text.is_secret_header(before):
        yield from _matched(words, index + 1, len(words), before)
    elif word.startswith(("set-var(", "set-var-fmt(")) and _is_secret_variable(word[:-1]):
        yield from _variable(words, index + 1, word)
    elif word in ("set-var", "set-var-fmt") and _is_secret_variable(following):
        yield from _variable(words, index + 2, word)
    elif (name := word[-68:].rstrip()).endswith(":") and secret_text.is_secret_header(
        re.split(r"\s", name[:-1])[-1]
    ):
        yield from _header(words, index + 1, word)


def _option(words: Sequence[str], index: int, *, comment: bool) -> Iterator[Place]:
    """The value of an option of a program or a script that has the name of a secret."""
    name = words[index]
    if name in ("-u", "--user", "--proxy-user"):
        user, colon, password = "".join(words[index + 1 : index + 2]).partition(":")
        if colon and not is_digits(user):  # of curl, not of docker
            yield Place(index + 1, len(user) + 1, len(user) + 1 + len(password))
    if not _OPTION.fullmatch(name) or not secret_text.SECRET_NAME.fullmatch(name.lstrip("-")):
        return
    assigned = words[index + 1 : index + 2] in (("=",), (":",))
    at = index + 2 if assigned else index + 1
    # "the password is in the vault" has none.
    if at < len(words) and (assigned or not (comment and _PROSE.fullmatch(words[at]))):
        yield from _whole(words, at, at + 1)


def _is_secret_variable(name: str) -> bool:
    named = len(name) < 256 and _VARIABLE_NAME.fullmatch(name) is not None
    return secret_text.is_secret_name(name) or (named and not name.lower().endswith(_NO_SECRET))


def _whole(words: Sequence[str], start: int, end: int) -> Iterator[Place]:
    return (Place(n, 0, len(words[n])) for n in range(start, min(end, len(words))))


def _header(words: Sequence[str], start: int, name: str) -> Iterator[Place]:
    for n in range(start, len(words)):
        if words[n].lower() in _ENDS:
            return
        yield from (Place(n, *span) for span in secret_text.header_value(name, words[n]))


def _variable(words: Sequence[str], start: int, word: str) -> Iterator[Place]:
    for n in range(start, len(words)):
        if words[n] in ("if", "unless") or words[n].startswith("set-var"):
            return
        text = words[n]
        found = secret_text.literals(text) if "fmt" in word else secret_text.arguments(text, "str")
        yield from (Place(n, *span) for span in found)


def _condition(words: Sequence[str], start: int, end: int) -> Iterator[Place]:
    """The patterns of an ACL whose fetch reads a secret."""
    fetch = "".join(words[start : start + 1]).lower()
    called, _, given = fetch.partition("(")
    name = next((each for each in re.split(r"[(),\"' ]", given) if secret_text.is_secret_header(each)), "")
    if "cook" in called:
        name = "token"
    elif called.startswith(("http_auth_pass", "http_auth_bearer")):
        name = "authorization"
    elif "url" in called or "body_param" in called:
        first = re.split(r"[(),\"' ]", given)[0]
        name = name or (first if secret_text.is_secret_parameter(first) else "")
    elif called in ("var", "env") and _is_secret_variable(re.split(r"[(),]", given)[0]):
        name = "token"
    if "jwt_verify" in given:
        return  # it gives 1, or a number that says what is wrong
    if name:
        yield from _matched(words, start + 1, end, name)
    elif called.startswith(_QUERIES):
        for n in range(start + 1, end):
            yield from (Place(n, *span) for span in secret_text.spans(words[n], query=True))


def _matched(words: Sequence[str], start: int, end: int, name: str) -> Iterator[Place]:
    """The patterns after the flags of a match."""
    at = start
    while at < end and words[at][:1] == "-":
        flag = words[at]
        at += 2 if flag in ("-m", "-f", "-M", "-u") else 1
        if flag == "-m" and words[at - 1 : at] and words[at - 1] in ("found", "len", "int", "bool", "ip"):
            return
        if flag == "--":
            break
    for n in range(at, end):
        if words[n] not in ("-f", "-i", "or", "||", "if", "unless"):
            yield from (Place(n, *span) for span in secret_text.header_value(name, words[n]))


def _sent(words: Sequence[str], at: int) -> Iterator[Place]:
    """The passwords in what a check sends: what follows AUTH, PASS or LOGIN."""
    for n in range(at, len(words)):
        word = words[n]
        if "binary" in words[at - 1]:
            yield from _sent_binary(word, n)
            return
        yield from (Place(n, *span) for span in _of_commands(word))
        if re.fullmatch(r"(?:AUTH|PASS|LOGIN)", word.strip(), re.IGNORECASE) and n + 1 < len(words):
            yield from _whole(words, n + 1, len(words))
            return


def _sent_binary(word: str, n: int) -> Iterator[Place]:
    sent = _from_hexadecimal(word)
    secret = any(True for _ in _of_commands(sent)) or any(True for _ in secret_text.spans(sent))
    if secret or not sent.replace("\r", "").replace("\n", "").replace("\t", "").isprintable() or not sent:
        yield Place(n, 0, len(word))  # nobody can see whether a binary login is in it


def _from_hexadecimal(word: str) -> str:
    try:
        return bytes.fromhex(word).decode("ascii")
    except ValueError:
        return ""


def _of_commands(text: str) -> Iterator[Span]:
    for match in _COMMAND.finditer(text):
        if match[1].strip():
            last = match[1].rstrip().rpartition(" ")[2]
            start = match.start(1) + match[1].rindex(last)
            yield start, start + len(last)
            continue
        for line in re.compile(r"[^\r\n]+").finditer(text, match.end()):  # the protocol of Redis
            if line[0][:1] == "*":
                break
            if line[0][:1] != "$":
                yield line.span()
