"""Foreign text where it is shown: on a terminal, in Markdown, in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import re
import tomllib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from calorimeter.core.errors import InputError
from calorimeter.core.shown_text import csv_cell, markdown, one_line, plain, quoted
from calorimeter.report.tables import csv_file

SIGNS = st.sampled_from(
    [
        *"\\`*_[]<>|~$:#&!@()+-=.,;/'\"{}1a \n\t\r\x1b\x9b\u202e\ud800",
        *(
            "https://",
            "www.a.b",
            "&amp;",
            "&#35;",
            "---",
            "```",
            "@user",
            "#1",
            "1. ",
            "- ",
            "<b>",
            "a@b.c",
        ),
    ]
)
TEXTS = st.one_of(st.lists(SIGNS, max_size=12).map("".join), st.text(max_size=20))


@given(TEXTS)
@example("\x1b]0;title\x07\x1b[2J\r\n\x9b31m\u202e\ud800\x7f")
def test_nothing_is_left_that_a_terminal_obeys(text: str) -> None:
    """Control characters, changes of direction and lone surrogates are shown; all else stays."""
    shown = plain(text)
    assert not re.search(
        "[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown
    )
    assert "\r" not in shown.replace("\r\n", "")
    assert plain(shown) == shown
    shown.encode()
    if text.isprintable():
        assert shown == text
    assert len(one_line(text).splitlines()) <= 1


def test_output_for_programs_keeps_its_meaning() -> None:
    """A shown control character is what JSON and TOML write for it."""
    tree = {"name": "\x7f\x9b\u202e é"}
    written = json.dumps(tree, ensure_ascii=False)
    assert json.loads(plain(written)) == tree
    assert tomllib.loads(plain('name = "\u202e"')) == {"name": "\u202e"}
    assert plain("- a\r\n+ b\r\n") == "- a\r\n+ b\r\n"  # a patch of a file with such line ends


PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def _words(tokens: list[Token]) -> tuple[str, set[str]]:
    """The text of a rendered piece, and the kinds of everything in it that is not text."""
    inline = [child for token in tokens for child in token.children or ()]
    kinds = {child.type for child in inline} - {"text", "code_inline"}
    code = {child.content for child in inline if child.type == "code_inline"}
    return "".join(child.content for child in inline), kinds | {c for c in code if set(c) - set("@#")}


@settings(max_examples=150)
@given(TEXTS)
@example(
    "a | b `c` <img src=x> [x](javascript:alert(1)) ![p](q) **b** ~~s~~ &copy; https://x.y a@b.c #1 @u"
)
@example("===")
@example("1) a")
@example(":--")
@example("`@`")
@example("@#1")
@example("##1")
@example("## ##")
def test_markdown_shows_foreign_text_as_text(text: str) -> None:
    """As a paragraph, in a list, a heading and a table: one block with these words, and no markup."""
    escaped = markdown(text)
    words = " ".join(one_line(text).split())
    for form, opened in (
        (f"{escaped}\n", ["paragraph"]),
        (f"word\n\n{escaped}\n", ["paragraph"] * 2),
        (f"- {escaped}\n", ["bullet_list", "list_item", "paragraph"]),
        (f"| a | {escaped} |\n|---|---|\n| b | {escaped} |\n", ["table"]),
    ):
        if not words:
            continue
        tokens = PARSER.parse(form)
        found, kinds = _words(tokens)
        assert kinds == set(), form
        blocks = [token.type.removesuffix("_open") for token in tokens if token.nesting == 1]
        assert blocks[: len(opened)] == opened, form
        if opened == ["table"]:
            assert blocks.count("td") == blocks.count("th") == 2, form
        elif opened == ["paragraph"] * 2:
            found = found.removeprefix("word")
        if opened != ["table"]:
            assert " ".join(found.split()) == words, form
            assert len(blocks) == len(opened)


@pytest.mark.parametrize(
    ("text", "linked"), [("https://evil.example/a", "://"), ("www.evil.example", "www."), ("x@y.z", "@y")]
)
def test_markdown_of_services_finds_no_link(text: str, linked: str) -> None:
    """What GitHub links without any markup, it finds neither as it is nor after the escapes are gone."""
    assert linked not in markdown(text).replace("\\:", "")
    assert markdown("@team, see #12") == "`@`team, see `#`12"


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+A1", "-A1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\n=1", "\uff1d1", "=cmd|' /C calc'!A0"],
)
def test_a_cell_is_no_formula(text: str) -> None:
    """Text that a spreadsheet would compute gets an apostrophe, also in headings and in an index."""
    (cell,) = next(csv.reader(io.StringIO(csv_file.of_rows([[text]]).decode(), newline="")))
    assert cell.startswith("'")


@pytest.mark.parametrize(
    "value", [-1.5, 0, None, "-1.5", "+3 %", "-1,000", "-2e-05", "12", "a=b", "a-b", ""]
)
def test_numbers_and_words_stay(value: object) -> None:
    """A negative number is a number, also as text."""
    assert csv_cell(value) == value


def test_an_error_is_one_plain_line() -> None:
    """Whatever a file or a name holds; a part that is too long to be read lacks its middle."""
    line = str(InputError("a\x00\x1b[31m\n", "given \x9b\u202e\ud800", "valid: " + "x" * 5000, "b\x07"))
    assert line == plain(line)
    assert len(line.splitlines()) == 1
    assert len(line) < 1700
    assert quoted("\x1b" * 100).startswith(r"'\x1b\x1b")
