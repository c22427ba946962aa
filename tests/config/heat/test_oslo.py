"""Files of oslo.config: assignments with their lines, and substitution of `$name`."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calorimeter.config.heat import heat_conf, oslo
from calorimeter.config.named_files import read_texts


def value(text: str, key: str, group: str = "DEFAULT") -> str | None:
    """The value in force of one option in one file."""
    found = oslo.options([oslo.parse("f", text)]).get(key, group)
    return found.text if found else None


@given(st.text(alphabet=st.sampled_from("ab =:[]#;$\"'\n\t{}."), max_size=120))
def test_any_text_is_kept_and_raises_nothing(text: str) -> None:
    """Any text keeps all its lines, and every option has a value."""
    file = oslo.parse("f", text)
    assert file.text == text
    options = oslo.options([file])
    for entry in file.entries:
        assert options.get(entry.key, entry.group) is not None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1", "1"),
        ("a: 1 = 2", "1 = 2"),
        ('a = "quoted # no comment"', "quoted # no comment"),
        ("a = one\n  two\n\n", "one\ntwo"),
        ("[DEFAULT]\na = 1\n[default]\na = 2", "1"),
        ("[x]\na = 1\n", None),
        ("#a = 1\n;a = 2\n", None),
    ],
)
def test_assignments(text: str, expected: str | None) -> None:
    """Both separators, quotes, continuation lines, and the last value of a key."""
    assert value(text, "a") == expected


def test_names_of_other_options_are_substituted() -> None:
    """`$name`, `${name}` and `$group.name` give values of options; `$$` and `\\$` a dollar sign."""
    text = "h = 10.0.0.1\n[g]\np = 5\nu = $h:${g.p}/$$x\\$y $unknown\n"
    assert value(text, "u", "g") == "10.0.0.1:5/$x$y $unknown"


def test_options_that_name_each_other_do_not_loop() -> None:
    """Substitution of a circle of names ends and leaves a name in place."""
    assert "$" in (value("a = $b\nb = $a\n", "a") or "")


def test_the_later_file_wins_and_is_known(tmp_path: Path) -> None:
    """With several files the last value wins, and its file and line are known."""
    (tmp_path / "1.conf").write_text("[database]\nconnection = one\n")
    (tmp_path / "2.conf").write_text("# over\n[database]\nconnection = two\n")
    conf = heat_conf.parse("B", *read_texts(tmp_path, "*.conf"))
    found = conf.get("connection", "database")
    assert found is not None
    assert (found.text, Path(found.entry.file).name, found.entry.number) == ("two", "2.conf", 3)


def test_lines_that_oslo_config_rejects_are_recorded() -> None:
    """Stray continuations, lines without a separator and broken sections are recorded with their lines."""
    file = oslo.parse("f", "  stray\n...\n[open\n= 1\na = 1\n")
    assert [line.number for line in file.unreadable] == [1, 2, 3, 4]
