"""Parsing HAProxy configuration text: words, sections, conditions; compared with HAProxy itself."""

from __future__ import annotations

import os
import random
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.config import haproxy
from calorimeter.config.audit import Inputs, audit
from calorimeter.config.haproxy import program, units
from calorimeter.config.haproxy.refused_lines import old_lines, refused_lines
from calorimeter.config.named_files import read_texts
from calorimeter.core.errors import InputError
from calorimeter.core.secrecy import haproxy_words as words

TEXT = """# who wrote this
global
    setenv API_HOST 10.0.0.1
    maxconn 4000
.if defined(NOWHERE)
    maxconn 1
.else
    nbthread 2
.endif

defaults base  # named
    timeout connect 10s
listen "rest api"  from base
    bind "${API_HOST}:8004"
"""


@given(st.text(alphabet=st.sampled_from("ab \t\n\r\"'\\#$x4{}[]*-é\0.:"), max_size=200))
def test_the_tree_keeps_the_text(text: str) -> None:
    """The tree of any text has the same text, and resolving it raises nothing."""
    tree = haproxy.parse([("f", text)], {})
    assert tree.files[0].text == text
    haproxy.resolve(tree)


_WORDS = """
global defaults listen frontend backend from a b no option timeout server bind check inter 1s
default-server redispatch 10.0.0.1:80 :::1 [::1]:5 unix@/x httpchk .if .else .endif 1 "$A" "${B
use_backend server-template 1-3 1-99999 setenv resetenv cookie http-check send expect ! rstatus ( 200-
connect uri meth stick on match stats uri scope socket disabled enabled $A:$B ${A}:1 %[hdr(x)]_b include
clitimeout redispatch stick-table 2.6 map(f,b) default_backend unix-bind prefix insert no-check
"""
_LINE = st.lists(st.sampled_from(_WORDS.split()), max_size=6).map(" ".join)


@settings(max_examples=120)
@given(st.lists(_LINE, max_size=25).map("\n".join))
def test_configuration_like_text_never_raises(text: str) -> None:
    """Sections, servers and conditions in any order resolve without an exception."""
    tree = haproxy.parse([("f", text)], {"A": "x"})
    assert tree.files[0].text == text
    resolved = haproxy.resolve(tree)
    for service in resolved.services:
        assert all(server.inter_s > 0 for server in service.back.servers)
        _ = service.back.persistence, service.back.health_request
        assert service.back.accepted_statuses.accepts(200) in (True, False, None)
    assert all(page.uri for _, page in resolved.stats_pages)
    assert all(refused.says for refused in (*refused_lines(tree), *old_lines(tree)))


def test_sections_have_kind_name_and_parent() -> None:
    """A section knows its kind, its unquoted name, and the defaults that it names with `from`."""
    tree = haproxy.parse([("f", TEXT)], {})
    assert [(s.kind, s.name, s.parent) for s in tree.sections] == [
        ("global", "", None),
        ("defaults", "base", None),
        ("listen", "rest api", "base"),
    ]


def test_variables_set_in_global_are_expanded_in_double_quotes() -> None:
    """`setenv` in `global` takes effect in the lines after it."""
    tree = haproxy.parse([("f", TEXT)], {})
    assert [line.words for line in tree.lines if line.keyword == "bind"] == [("bind", "10.0.0.1:8004")]


def test_each_line_keeps_its_variables() -> None:
    """Later lines change them for later lines only; thousands of changes take little memory."""
    lines = ["setenv A 1", "presetenv A 2", "presetenv B 3", "unsetenv A", "setenv A 4", "resetenv B", "x"]
    tree = haproxy.parse([("f", "global\n" + "\n".join(lines))], {"C": "0"})
    seen = [dict(line.environment) for line in tree.lines]
    assert seen[2] == seen[3] == {"C": "0", "A": "1"}
    assert seen[4:] == [
        {"C": "0", "A": "1", "B": "3"},
        {"C": "0", "B": "3"},
        {**seen[4], "A": "4"},
        {"B": "3"},
    ]
    tracemalloc.start()
    haproxy.parse([("f", "global\n" + "".join(f"setenv A{n} x\n" for n in range(3000)))], {})
    assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    tracemalloc.stop()


def test_conditions_switch_lines_off_but_the_tree_keeps_them() -> None:
    """Only the branch of `.if defined(…)` that holds is active; the tree keeps both."""
    tree = haproxy.parse([("f", TEXT)], {})
    active = {line.text.strip() for line in tree.lines if line.active}
    assert "nbthread 2" in active
    assert "maxconn 1" not in active
    assert tree.files[0].text == TEXT


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (r'a "b $V" c\ d \x41 e#f', ("a", "b v w", "c d", "A", "e")),
        ("'$V' $V", ("$V", "$V")),
        ('"${NOPE-word}" "${V[*]}"', ("word", "v", "w")),
        (r'"a\"b\$V" "it' + "'" + 's"', ('a"b$V', "it's")),
        ('a""b "" c', ("ab", "", "c")),
        (r"a\q \# '\n'", (r"a\q", "#", r"\n")),
        ("a\u2003b", ("a\u2003b",)),
    ],
)
def test_words_are_split_by_the_rules_of_the_manual(line: str, expected: tuple[str, ...]) -> None:
    """Quotes, escapes and variables follow sections 2.2 and 2.3 of HAProxy's manual."""
    assert words.split(line, {"V": "v w"}).words == expected


def test_faults_of_a_line_are_recorded_not_raised() -> None:
    """An open quote, a bad escape and a variable that is not set are recorded with the line."""
    assert words.split('a "b', {}).fault == "a double quote is not closed"
    assert words.split(r"a \xzz", {}).fault is not None
    assert words.split('a "$NOPE"', {}).unset == ((1, "NOPE"),)


def test_words_agree_with_the_haproxy_program(tmp_path: Path) -> None:
    """For random lines the first word is the one that `haproxy -c` reports as unknown."""
    chance = random.Random(8)
    pieces = [*"ab c\t\"'\\#$4{}-_", "${HOME}", "${NOPE-d}", "\\x41"]
    lines = ["q" + "".join(chance.choices(pieces, k=chance.randint(1, 9))) for _ in range(45)]
    file = tmp_path / "f.cfg"
    file.write_text("global\n" + "\n".join(lines) + "\n")
    reported = {message.line: message.text for message in program.messages([file]) or ()}
    for number, line in enumerate(lines, start=2):
        ours = words.split(line, os.environ)
        if reported[number].startswith("unknown keyword"):
            assert reported[number] == f"unknown keyword '{ours.words[0]}' in 'global' section", line
        else:
            assert ours.fault is not None, (line, reported[number])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10s", 10.0), ("1m", 60.0), ("500", 0.5), ("250us", 0.00025), ("2h", 7200.0), ("1d", 86400.0)],
)
def test_times_are_read_in_their_units(text: str, expected: float) -> None:
    """A bare number is milliseconds; us, ms, s, m, h and d are known."""
    assert units.seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "s", "1w", "1.5s", "-1s", "1s2"])
def test_text_that_is_not_a_time_gives_none(text: str) -> None:
    """Text that HAProxy rejects as a time gives None."""
    assert units.seconds_or_none(text) is None


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    """Reading a missing file raises InputError with its name."""
    with pytest.raises(InputError, match=r"nowhere\.cfg: cannot be read"):
        read_texts(tmp_path / "nowhere.cfg", "*.cfg")


def test_a_folder_is_its_cfg_files_in_order(tmp_path: Path) -> None:
    """As with `haproxy -f FOLDER`, every *.cfg is read in order of name."""
    (tmp_path / "b.cfg").write_text("listen b\n")
    (tmp_path / "a.cfg").write_text("defaults\n")
    (tmp_path / "c.txt").write_text("listen c\n")
    assert [s.kind for s in haproxy.parse(read_texts(tmp_path, "*.cfg"), {}).sections] == [
        "defaults",
        "listen",
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2147483647", 2147483.647),
        ("2147483648", None),
        ("25d", None),
        ("99999999999999d", None),
        ("24d", 2073600.0),
    ],
)
def test_times_that_haproxy_refuses_are_none(text: str, value: float | None) -> None:
    """HAProxy 2.6 says "timer overflow" above 2147483647 ms, and so do we, in no record."""
    assert units.seconds_or_none(text) == value
    lines = f"backend b\n timeout check {text}\n server a 127.0.0.1:1 check inter {text} fall 99999999999\n"
    audit(Inputs(proxies=(("proxy", (("haproxy.cfg", lines),)),)))
