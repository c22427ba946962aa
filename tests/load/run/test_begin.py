"""What a load records when it begins, without a deployment that answers."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from calorimeter.load.run import worker_messages
from calorimeter.workload import catalogue
from tests.load.programs import result_of


@pytest.mark.slow  # Locust is imported
def test_a_load_notes_its_templates(tmp_path: Path) -> None:
    """run.json has the digest of the file beside the scenario; a worker with another one aborts the run.

    A worker goes by no path of its master, and by no setting that a command line cannot change.
    """
    text = 'name = "mine"\nabout = "A test."\nusers = 1\nduration_s = 5\n[rest]\ntemplate = "tiny.yaml"\n'
    (tmp_path / "mine.toml").write_text(f"{text}[rest.mix]\nlist = 1\n")
    shutil.copy(catalogue.TEMPLATES / "tiny.yaml", tmp_path)
    with (tmp_path / "tiny.yaml").open("a") as file:
        file.write("# edited\n")
    found = result_of("begun_load", str(tmp_path))
    digest = hashlib.sha256((tmp_path / "tiny.yaml").read_bytes()).hexdigest()
    assert found["about"]["templates"] == {"tiny.yaml": digest}
    assert found["about"]["clean_stop"] is False
    (line,) = (data["line"] for kind, data in found["sent"] if kind == worker_messages.ABORT)
    assert line.startswith("template tiny.yaml: this worker's file is not its master's")
    assert [kind for kind, _ in found["sent"]] == [worker_messages.DONE, worker_messages.ABORT]
    line = "master: begins no run that this version knows; use one version"
    assert found["refusals"] == [[worker_messages.ABORT, {"line": line}]] * 5
    assert found["made"] is False
