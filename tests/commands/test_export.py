"""`calorimeter export`: which file is written where, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from calorimeter.commands.export import FORMATS, export
from calorimeter.core.errors import InputError
from calorimeter.core.recorded.rundir import RunDir
from tests.core.test_otlp_sender import receiver, status
from tests.fuzz import whole_runs


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with all that can be exported."""
    return whole_runs.make(tmp_path_factory.mktemp("export") / "run", seconds=2)


def exported(*words: object) -> Result:
    """How the command ended."""
    return CliRunner().invoke(export, [str(word) for word in words], standalone_mode=False)


def refusal(*words: object) -> str:
    """The one line of a command that is refused."""
    problem = exported(*words).exception
    assert isinstance(problem, InputError)
    return str(problem)


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_holds_what_standard_output_shows(run: Path, tmp_path: Path, form: str) -> None:
    """The same bytes, each time; a file of the same format is replaced, and all of it is ASCII."""
    shown = exported(run, "--format", form)
    assert shown.exception is None
    for _ in range(2):
        assert exported(run, "--format", form, "-o", tmp_path / "out").exception is None
    assert (tmp_path / "out").read_bytes() == shown.stdout_bytes
    assert shown.stdout_bytes.isascii()


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_of_another_kind_is_not_replaced(run: Path, tmp_path: Path, form: str) -> None:
    """Neither one of the user's nor one of another format."""
    mine = tmp_path / "mine.json"
    mine.write_text('{"log": []}\n')
    assert refusal(run, "--format", form, "-o", mine).endswith(
        f"exists already, and is not {FORMATS[form].what}; valid: another path"
    )
    assert json.loads(mine.read_text()) == {"log": []}
    for other in set(FORMATS) - {form}:
        exported(run, "--format", other, "-o", tmp_path / other)
        assert "exists already" in refusal(run, "--format", form, "-o", tmp_path / other)


def test_an_unknown_format_has_a_nearest_match(run: Path) -> None:
    """One line, with all formats."""
    valid = ", ".join(sorted(FORMATS))
    assert refusal(run, "--format", "junitxml") == (
        f"--format: unknown format 'junitxml'; valid: {valid}; did you mean 'junit'?"
    )


def test_an_option_of_another_format_is_refused(run: Path) -> None:
    """It would have no effect."""
    done = exported(run, "--format", "junit", "--table", "ledger")
    assert "--table is for --format jsonl" in str(done.exception)


@pytest.mark.parametrize("form", FORMATS)
def test_a_run_without_what_is_exported_is_one_line(tmp_path: Path, form: str) -> None:
    """No samples, or no verdicts: nothing is written."""
    made = whole_runs.make(tmp_path / "run", seconds=1)
    for path in (*made.glob("samples/*"), made / "verdicts.json"):
        path.unlink()
    assert "holds no " in refusal(made, "--format", form, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_table_that_is_damaged_leaves_the_file_before(tmp_path: Path) -> None:
    """The second of two files of samples is no Parquet: what was exported before stays."""
    made = whole_runs.make(tmp_path / "run", seconds=1)
    out = tmp_path / "out"
    assert exported(made, "--format", "jsonl", "-o", out).exception is None
    before = out.read_bytes()
    (made / "samples" / "w1-0.parquet").write_bytes(b"PAR1")
    assert "is truncated or not a Parquet file" in refusal(made, "--format", "jsonl", "-o", out)
    assert out.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"run", "out"}


@pytest.mark.parametrize("form", FORMATS)
def test_no_export_shows_what_the_deployment_file_keeps(tmp_path: Path, form: str) -> None:
    """Neither the account in a front address nor a command; the address itself is part of URLs only."""
    made = whole_runs.make(tmp_path / "run", seconds=1)
    file = made / "deployment.toml"
    text = file.read_text().replace("http://127.0.0.1", "http://s3cret@front.test")
    file.write_text(f'{text}\n[[parts]]\nname = "rest-1"\nkind = "rest"\nkill = "kill --token s3cret"\n')
    RunDir.open(made).deployment()  # it is one
    shown = exported(made, "--format", form).stdout
    assert "s3cret" not in shown
    assert ("front.test" in shown) == (form in ("har", "otlp"))


@pytest.mark.parametrize("form", FORMATS)
def test_a_damaged_part_of_a_run_is_one_line(tmp_path: Path, form: str) -> None:
    """Each file that a format reads, cut off: one line with its name, and nothing is written."""
    reads = {
        "har": ("deployment.toml", "samples/w0-0.parquet"),
        "junit": ("verdicts.json", "timings.json"),
        "sarif": ("verdicts.json", "evidence/audit.json"),
    }
    for name in reads.get(form, ("samples/w0-0.parquet",)):
        made = whole_runs.make(tmp_path / name.replace("/", "-"), seconds=1)
        (made / name).write_bytes(b'{"x')
        assert name in refusal(made, "--format", form, "-o", tmp_path / "out")
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("form", "path", "word", "field"),
    [
        ("otlp", "/v1/traces", "spans", "rejectedSpans"),
        ("otlp-metrics", "/v1/metrics", "metrics", "rejectedDataPoints"),
    ],
)
def test_a_receiver_gets_what_a_file_holds(run: Path, form: str, path: str, word: str, field: str) -> None:
    """At the path of its signal; what it rejects is told, and a refusal or a redirect is one line."""
    partial = f'{{"partialSuccess": {{"{field}": 2, "errorMessage": "no room"}}}}'.encode()
    with receiver(status(200, partial), status(200)) as server:
        done = exported(run, "--format", form, "--otlp", server.url)
    assert done.exception is None
    assert done.output.startswith(f"{word} sent in ") and "2 were rejected: no room" in done.output
    assert "".join(body for _, body in server.received) == exported(run, "--format", form).stdout
    assert {where for where, _ in server.received} == {path}
    for code in (400, 307):
        with receiver(status(code, Location="http://127.0.0.1:9/")) as server:
            refused = refusal(run, "--format", form, "--otlp", server.url)
        assert f"{path} did not take the {word}: the answer was {code}" in refused and "\n" not in refused
        assert len(server.received) == 1


def test_what_cannot_be_sent_is_refused(run: Path, tmp_path: Path) -> None:
    """Other formats, a file beside it, a password, and what is no URL."""
    url = "http://127.0.0.1:9"
    assert "--otlp is for --format otlp and otlp-metrics" in str(
        exported(run, "--format", "har", "--otlp", url).exception
    )
    both = exported(run, "--format", "otlp", "--otlp", url, "-o", tmp_path / "out").exception
    assert "exclude each other" in str(both)
    assert "must not contain a password" in refusal(run, "--format", "otlp", "--otlp", "http://a:b@c")
    assert refusal(run, "--format", "otlp-metrics", "--otlp", "spans.jsonl").startswith("--otlp: ")
