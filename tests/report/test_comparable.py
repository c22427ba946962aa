"""Runs whose scenarios are the same file and whose templates are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from calorimeter.core.errors import InputError
from calorimeter.report import comparison, measured_runs, page_content, page_text
from calorimeter.report.measured_runs import MeasuredRun

TINY, OTHER, WIDE = "a" * 64, "b" * 64, "c" * 64


def noting(one: MeasuredRun, templates: dict[str, str] | None) -> MeasuredRun:
    """The same run, with these templates noted; None: made before they were."""
    about = {key: value for key, value in one.about.items() if not key.startswith("templates")}
    return replace(one, about=about if templates is None else about | {"templates": templates})


@pytest.fixture
def measured(builder: Any) -> MeasuredRun:
    """One run."""
    found: MeasuredRun = measured_runs.measure(builder.samples(seconds=5).path)
    return found


@pytest.mark.parametrize(
    ("left", "right", "despite", "message"),
    [
        (
            {"t.yaml": TINY, "w.yaml": WIDE},
            {"t.yaml": OTHER, "w.yaml": WIDE},
            (),
            "{'t.yaml': 'bbbbbbbbbbbb'}",
        ),
        ({"t.yaml": TINY}, {"t.yaml": OTHER}, ("scenario.toml",), "{'t.yaml': 'bbbbbbbbbbbb'}"),
        ({"t.yaml": TINY}, {"t.yaml": TINY, "w.yaml": WIDE}, (), "{'w.yaml': 'cccccccccccc'}"),
        (None, {"t.yaml": TINY}, (), "{'t.yaml':"),
    ],
)
def test_other_templates_are_refused(
    measured: MeasuredRun, left: Any, right: Any, despite: tuple[str, ...], message: str
) -> None:
    """The key is named, and of the templates those that differ, with the way to compare nevertheless."""
    with pytest.raises(InputError) as refused:
        comparison.compare([noting(measured, left)], [noting(measured, right)], despite)
    assert f"templates is {message}" in str(refused.value)
    assert "--despite templates" in str(refused.value)


@pytest.mark.parametrize(
    ("left", "right", "despite"),
    [
        (None, None, ()),
        ({"t.yaml": TINY}, {"t.yaml": TINY}, ()),
        ({"t.yaml": TINY}, {"t.yaml": OTHER}, ("templates",)),
        ({"t.yaml": TINY}, {"w.yaml": WIDE}, ("scenario.toml",)),
    ],
)
def test_the_same_templates_are_compared(
    measured: MeasuredRun, left: Any, right: Any, despite: tuple[str, ...]
) -> None:
    """Also runs made before templates were noted, and other scenarios with templates of their own."""
    found = comparison.compare([noting(measured, left)], [noting(measured, right)], despite)
    assert found.unit == "window"


def test_the_page_says_the_templates(builder: Any) -> None:
    """With the begin of their digests; a run that notes none has no such line."""
    builder.samples(seconds=5)
    assert "Templates" not in dict(page_text.run(page_content.collect(builder.run)))
    builder.about(templates={"t.yaml": TINY})
    found = page_content.collect(builder.run)
    assert dict(page_text.run(found))["Templates"] == "t.yaml (SHA-256 aaaaaaaaaaaa…)"
    assert "templates" not in dict(page_text.environment(found))


def test_only_what_a_scenario_does_is_compared(builder: Any) -> None:
    """A reworded `about` or comment is the same scenario; another number of users is not."""
    builder.samples(seconds=5)

    def digest(text: str) -> str:
        (builder.path / "scenario.toml").write_text(text, encoding="utf-8")
        return str(measured_runs.measure(builder.path).about["scenario.toml"])

    plain = digest('name = "x"\nabout = "Old words."\nusers = 3\n')
    assert digest('# A comment.\nname = "x"\nusers = 3\nabout = "New words."\n') == plain
    assert digest('name = "x"\nabout = "Old words."\nusers = 4\n') != plain
    assert digest("not TOML =") != plain


def test_a_loop_of_links_is_no_run(tmp_path: Path) -> None:
    """Two runs given by a link to itself are one line, as any path that is no run folder."""
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match="loop"):
        comparison.of([tmp_path / "loop", tmp_path], (), ())
