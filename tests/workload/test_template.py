"""Templates are text from others: what cannot be read is one line, and nothing unfolds without end."""

from __future__ import annotations

from pathlib import Path

import pytest

from calorimeter.core.errors import InputError
from calorimeter.workload import template

WAITING = """
parameters: {n: {default: 3}, no: {type: number}}
resources:
  h: {type: OS::Heat::WaitConditionHandle}
  w: {type: OS::Heat::WaitCondition, properties: {handle: {get_resource: h}, count: COUNT}}
"""


@pytest.mark.parametrize(
    ("count", "signals"),
    [("2", 2), ("'4'", 4), ("{get_param: n}", 3), ("{Ref: n}", 3), ("null", 1), ("0", 1)],
)
def test_a_condition_waits_for_a_number_or_a_default(count: str, signals: int, tmp_path: Path) -> None:
    """A parameter counts with its default; without a number it is one signal."""
    path = tmp_path / "t.yaml"
    path.write_text(WAITING.replace("COUNT", count))
    assert template.read("mix", path).waits == {"h": signals}


@pytest.mark.parametrize(
    "count", ["-1", "1001", "²", "9" * 5000, "1.5", "nan", "{get_param: [a]}", "{get_param: no}", "[1]"]
)
def test_a_count_that_is_none_is_one_line(count: str, tmp_path: Path) -> None:
    """The message names the template, what was given in part, and the range."""
    path = tmp_path / "t.yaml"
    path.write_text(WAITING.replace("COUNT", count))
    with pytest.raises(InputError) as refused:
        template.read("mix", path)
    assert str(refused.value).startswith("mix: ") and "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    "text",
    [
        f"resources: {'[' * 3000}",
        f"resources: {'{a: ' * 3000}",
        "resources: {a: !!int x}",
        "resources: {a: !!timestamp x}",
        "resources: {a: 2001-99-99}",
        f"resources: {{{'9' * 5000}: {{type: A}}}}",
        f"resources: {{0x{'f' * 5000}: {{type: A}}}}",
        "resources: []",
        "a: b: c",
        "\x00",
        "",
    ],
)
def test_what_is_no_template_is_one_line(text: str, tmp_path: Path) -> None:
    """Whatever the reader of YAML makes of it."""
    path = tmp_path / "t.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        template.read("mix", path)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 400


def test_anchors_do_not_unfold(tmp_path: Path) -> None:
    """Sixty anchors, each with the one before twice, are 2⁶⁰ values; a template may hold itself, too."""
    anchors = "".join(f"k{n}: &k{n} [*k{n - 1}, *k{n - 1}]\n" for n in range(1, 60))
    path = tmp_path / "t.yaml"
    path.write_text(
        f"k0: &k0 [x, y]\n{anchors}resources: &r {{a: {{type: OS::Heat::None, p: *k59, q: *r}}}}\n"
    )
    assert template.read("mix", path).resources == {"a": "OS::Heat::None"}
