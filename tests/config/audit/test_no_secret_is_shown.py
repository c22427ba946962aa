"""Audits and descriptions of files that hold secrets in every form show none of them."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from calorimeter.config.audit import audit, output, report_text
from calorimeter.config.describe import described_files
from calorimeter.config.describe.owner_answers import Answers
from calorimeter.core.errors import InputError
from tests.config.audit.clean import edited
from tests.core.secrecy import haproxy_secret_forms as forms

SECRET = "pw9x-hunter2x"


@pytest.mark.parametrize("way", forms.WAYS)
def test_no_output_shows_a_secret_in_any_form(tmp_path: Path, way: forms.Way) -> None:
    """Neither text, JSON, SARIF, evidence nor deployment.toml, with faults in the same section."""
    rng = Random(5)
    lines = [forms.line(form(SECRET), way, rng) for _, form in forms.FORMS]
    broken = [f"    server {SECRET} 10.0.0.9:8004 inter {each.strip()}" for each in lines[:8]]
    text = "\n".join([*lines, *broken])
    inputs = edited("proxy", "default-server check inter", f"{text}\n    default-server inter")
    report = audit(inputs)
    assert report.faults
    shown = [
        report_text.text(report),
        output.as_json(report),
        output.sarif(report),
        report.model_dump_json(),
    ]
    try:
        described_files.write(inputs, Answers(), tmp_path / "deployment.toml", force=True)
        shown.append((tmp_path / "deployment.toml").read_text("utf-8"))
    except InputError as problem:
        shown.append(str(problem))
    for each in shown:
        assert SECRET not in each
        assert "hunter2x" not in each
        assert forms.basic(SECRET).rstrip("=") not in each
