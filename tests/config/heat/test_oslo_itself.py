"""Files of options as oslo.config itself reads them: a ConfigOpts with the same files is asked."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oslo_config import cfg

from calorimeter.config import named_files
from calorimeter.config.heat import oslo
from calorimeter.config.named_files import read_texts
from calorimeter.core.errors import InputError

KEYS = ("a", "b_c", "d-e", "e")


def read(folder: Path) -> oslo.OsloOptions:
    """Our reading of 0.conf, then of the folder."""
    texts = (*read_texts(folder / "0.conf", "*.conf"), *read_texts(folder / "1.d", "*.conf"))
    return oslo.options(oslo.parse(name, text) for name, text in texts)


def ask(folder: Path, names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str | None] | str:
    """oslo.config's values of the options with these (group, key), or why it rejects a file."""
    conf = cfg.ConfigOpts()
    options = [(None if group == "DEFAULT" else group, key) for group, key in names]
    for group, key in options:
        conf.register_opt(cfg.StrOpt(key), group=group)
    try:
        conf(["--config-file", str(folder / "0.conf"), "--config-dir", str(folder / "1.d")], project="x")
    except cfg.ConfigFileParseError as problem:
        return str(problem)
    found: dict[tuple[str, str], str | None] = {}
    for group, key in options:
        try:
            # oslo.config looks an option up by its name with underscores.
            found[group or "DEFAULT", key] = (conf[group] if group else conf)[key.replace("-", "_")]
        except (cfg.Error, RecursionError):
            found[group or "DEFAULT", key] = None  # a name of no option; we keep the value as it is written
    return found


_VALUES = st.text(st.sampled_from("x1 $'\"=:#;\\"), max_size=5)
_NAMES = st.sampled_from(
    ["$a", "${b_c}", "$g.a", "$h_i.b_c", "$DEFAULT.a", "$G.a", "$$a", "\\$a", "$e.", "$E"]
)
_VALUE = st.lists(st.one_of(_VALUES, _NAMES), max_size=3).map("".join)
_ASSIGNMENT = st.builds(
    lambda key, sign, value, more: f"{key}{sign}{value}\n{more}",
    st.sampled_from(KEYS),
    st.sampled_from(["=", " = ", ":", ": "]),
    _VALUE,
    st.one_of(st.just(""), st.just(""), _VALUE.map("  {}\n".format)),
)
_HEADER = st.sampled_from(["[DEFAULT]", "[g]", "[G]", "[h_i]", "[default]", "[H_I] "]).map("{}\n".format)
_OTHER = st.sampled_from(["", "# c", "; c", "[x", "[]", " x", "x", "= 1", "\r"]).map("{}\n".format)
_FILE = st.builds(
    lambda first, lines: first + "".join(lines),
    st.sampled_from(["[DEFAULT]\n", "[DEFAULT]\n", "[DEFAULT]\n", ""]),
    st.lists(st.one_of(_ASSIGNMENT, _ASSIGNMENT, _ASSIGNMENT, _HEADER), max_size=8),
)
_BROKEN = st.lists(st.one_of(_ASSIGNMENT, _HEADER, _OTHER), max_size=6).map("".join)


def write(folder: Path, files: tuple[str, ...]) -> None:
    """0.conf, and the others as a folder that holds also what oslo.config does not read."""
    (folder / "1.d/sub").mkdir(parents=True)
    for name in ("1.d/.hidden.conf", "1.d/z.conf.bak", "1.d/sub/z.conf"):
        (folder / name).write_text("[DEFAULT]\na = wrong\n[g]\na = wrong\n")
    for number, text in enumerate(files):
        name = f"1.d/{'BaAb'[number]}.conf" if number else "0.conf"
        (folder / name).write_bytes(text.encode())


@pytest.mark.slow
@settings(max_examples=40)
@given(st.tuples(_FILE, _FILE, _FILE))
def test_every_value_is_that_of_oslo_config(files: tuple[str, str, str]) -> None:
    """Values after substitution, of a file and a folder, are those that a service gets."""
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), files)
        ours = read(Path(name))
        theirs = ask(Path(name), ours.found)
    assert bool(ours.unreadable) == isinstance(theirs, str)
    if isinstance(theirs, str):
        return
    for (group, key), expected in theirs.items():
        value = ours.get(key, group) if "-" not in key else None
        if value is None or not value.unresolved:
            assert (value.text if value else None) == expected, (group, key)
        else:
            assert expected is None


@pytest.mark.slow
@settings(max_examples=40)
@given(_BROKEN)
def test_rejected_lines_are_those_of_oslo_config(text: str) -> None:
    """The first line that is recorded as rejected is the one with which oslo.config stops."""
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), (text,))
        (Path(name) / "1.d/a.conf").write_text("")
        ours, theirs = read(Path(name)).unreadable, ask(Path(name), ())
    assert bool(ours) == isinstance(theirs, str)
    if isinstance(theirs, str):
        assert ours[0].message in theirs
        if ours[0].message != oslo.NO_SECTION:  # for which oslo.config names the line after the value
            assert f":{ours[0].number}," in theirs


@given(st.one_of(st.text(max_size=6), st.sampled_from([" 4 ", "+4", "0x4", "1_0", "-0", "4.0", "\u0664"])))
def test_numbers_and_booleans_are_those_of_oslo_config(text: str) -> None:
    """An integer or boolean is read as oslo.config converts it; what it rejects is None."""
    entry = oslo.Assignment("DEFAULT", "a", text, "f", 1)
    value = oslo.OptionValue(text, entry)
    for kind, ours in ((cfg.types.Integer(), value.number), (cfg.types.Boolean(), value.boolean)):
        try:
            expected = kind(text)
        except ValueError:
            expected = None
        assert ours == expected


@pytest.mark.parametrize("word", ["1", "TRUE", "yes", "On"])
def test_words_for_true(word: str) -> None:
    """oslo.config's words for true, in any case."""
    assert oslo.as_boolean(word) is True
    assert oslo.as_boolean(f" {word}") is None


def test_an_empty_folder_beside_a_file_is_no_error(tmp_path: Path) -> None:
    """As for oslo.config, `conf.d` may be empty; a folder alone needs a file."""
    (tmp_path / "heat.conf").write_text("[DEFAULT]\n")
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/.hidden.conf").write_text("[DEFAULT]\n")
    given = named_files.from_files([], [f"B={tmp_path}/heat.conf,{tmp_path}/conf.d"])
    assert [name for name, _ in given.heat[0].files] == [f"{tmp_path}/heat.conf"]
    with pytest.raises(InputError, match="folder without"):
        named_files.from_files([], [f"B={tmp_path}/conf.d"])
