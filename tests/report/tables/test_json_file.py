"""JSON that is the same on every machine."""

from __future__ import annotations

import json

from pydantic import BaseModel

from calorimeter.report.tables import json_file

COUNT = 12_345_678_901_234_567


class Figures(BaseModel):
    """What a result may hold."""

    name: str = "ä"
    value: float = 0.0
    at_s: float = 0.0
    count: int = COUNT


def test_two_processors_write_one_number() -> None:
    """The last bits of a sum depend on the processor's vector instructions (seen: 2 of 17 digits)."""
    here, there = (Figures(value=each) for each in (0.10108372118316346, 0.10108372118316349))
    assert json_file.of_model(here) == json_file.of_model(there)
    assert json.loads(json_file.of_model(here))["value"] == 0.101083721183


def test_the_rest_is_kept() -> None:
    """Text, integers and times since the epoch, which have ten digits before the point."""
    made = json_file.of_model(Figures(at_s=1764493039.25))
    assert json.loads(made) == {"name": "ä", "value": 0.0, "at_s": 1764493039.25, "count": COUNT}
    assert made.startswith(b'{\n  "name": "\xc3\xa4",\n')


def test_text_that_is_no_unicode_is_shown() -> None:
    """The name of a file may be any bytes."""
    assert json.loads(json_file.of_model(Figures(name="a\udcff")))["name"] == r"a\udcff"
