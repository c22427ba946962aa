"""Lines of a file that grows."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calorimeter.core.errors import InputError
from calorimeter.live import line_tail
from calorimeter.live.line_tail import LineTail


def test_a_line_is_read_once_and_when_it_is_whole(tmp_path: Path) -> None:
    """No file is no line; half a line waits for its end; a damaged one is None."""
    path = tmp_path / "proxy.jsonl"
    tail = LineTail(path, tmp_path)
    assert tail.added() == []
    path.write_text('{"n": 1}\n{"n": ')
    assert tail.added() == [{"n": 1}]
    with path.open("a") as file:
        file.write('2}\nno json\n[3]\n{"n": NaN}\n')
    assert tail.added() == [{"n": 2}, None, None, None]
    assert tail.added() == []
    path.write_text('{"n": 9}\n')  # another file
    assert tail.added() == [{"n": 9}]


def test_of_a_file_that_is_there_already_only_the_end_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first line of the end is left out: its beginning was not read."""
    monkeypatch.setattr(line_tail, "FIRST_BYTES", 20)
    path = tmp_path / "proxy.jsonl"
    path.write_text("".join(f'{{"n": {n}}}\n' for n in range(5)))  # nine bytes a line
    assert LineTail(path, tmp_path).added() == [{"n": 3}, {"n": 4}]


def test_a_line_that_is_too_long_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is skipped in pieces; the line after it is read."""
    monkeypatch.setattr(line_tail, "MOST_BYTES", 16)
    path = tmp_path / "proxy.jsonl"
    path.write_text('{"n": 1}\n' + "x" * 100 + '\n{"n": 2}\n')
    tail = LineTail(path, tmp_path)
    found = [line for _ in range(12) for line in tail.added()]
    assert found == [{"n": 1}, {"n": 2}]


def test_a_link_out_of_the_run_is_refused(tmp_path: Path) -> None:
    """A folder may come from anybody."""
    run = tmp_path / "run"
    run.mkdir()
    (tmp_path / "other").write_text("{}\n")
    (run / "proxy.jsonl").symlink_to(tmp_path / "other")
    with pytest.raises(InputError, match="symbolic link"):
        LineTail(run / "proxy.jsonl", run).added()


TREES = st.dictionaries(st.text(max_size=5), st.integers(-1000, 1000) | st.text(max_size=8), max_size=3)


@given(st.lists(TREES, max_size=30), st.lists(st.integers(0, 400), max_size=10))
def test_any_pieces_give_each_line_once(
    tmp_path_factory: Any, trees: list[dict[str, Any]], cuts: list[int]
) -> None:
    """However a writer's bytes arrive."""
    path = tmp_path_factory.mktemp("tail") / "a.jsonl"
    data = "".join(json.dumps(tree) + "\n" for tree in trees).encode()
    tail = LineTail(path, path.parent)
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    found: list[Any] = []
    for begin, end in pairwise(places):
        with path.open("ab") as file:
            file.write(data[begin:end])
        found += tail.added()
    assert found == trees
