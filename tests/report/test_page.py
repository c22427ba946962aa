"""The page: its order, its words, the same bytes each time, and folders that are damaged."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from markdown_it import MarkdownIt

from calorimeter.commands.report import newest, report
from calorimeter.core.errors import InputError
from calorimeter.core.verdict import Judgement, Outcome, Verdict
from calorimeter.report import figure_list, page, page_content, page_text, report_folder, summary
from calorimeter.report.figures import style
from tests.markdown import broken_tables

pytestmark = pytest.mark.slow

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])

SECTIONS = [
    "Verdict and capacity",
    "Environment and topology",
    "Method",
    "Throughput and latency over time",
    "Throughput and latency against load",
    "Latency distribution",
    "Where the time goes",
    "Who served what",
    "Faults, detection and recovery",
    "Queues and components",
    "Generator health",
    "Errors",
    "Limits of what was measured",
    "Raw data and how to rebuild this page",
]


def made(builder: Any) -> page.Files:
    """The files of a run's report."""
    return page.files(page_content.collect(builder.run))


def words(builder: Any) -> page.Files:
    """The pages and the summary of a run's report, without figures: drawing takes seconds."""
    return page.words(page_content.collect(builder.run), [])


def text(files: page.Files) -> str:
    """The words of the HTML page, without its figures."""
    return re.sub(r"<svg.*?</svg>", "", files["index.html"].decode(), flags=re.DOTALL)


@pytest.fixture(scope="module")
def whole(module_builder: Any) -> page.Files:
    """The report of a run that has everything."""
    return made(module_builder)


def test_sections_stand_in_their_order(whole: page.Files) -> None:
    """Verdicts come first, raw data last, in HTML and Markdown alike."""
    assert re.findall(r"<h2>(.*?)</h2>", text(whole)) == SECTIONS
    assert re.findall(r"^## (.*)$", whole["report.md"].decode(), flags=re.MULTILINE) == SECTIONS


def test_tables_in_markdown_are_whole(whole: page.Files) -> None:
    """No blank line parts a row or a delimiter from its table."""
    assert broken_tables(whole["report.md"].decode()) == []
    assert broken_tables("| a |\n\n|---|\n\n| b |\n") == ["| a |", "|---|", "| b |"]
    assert broken_tables("| a |\n|---|\n| b |\n\n| c |\n") == ["| c |"]


def test_the_same_run_gives_the_same_bytes(module_builder: Any, whole: page.Files, tmp_path: Path) -> None:
    """A page built again by another process, elsewhere, in another locale, is the same byte for byte."""
    environment = os.environ | {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    target = tmp_path / "again"
    words = ["report", str(module_builder.path), "--output", str(target)]
    command = [sys.executable, "-m", "calorimeter", *words]
    subprocess.run(command, check=True, capture_output=True, env=environment, cwd=tmp_path)
    again = {str(p.relative_to(target)): p.read_bytes() for p in target.rglob("*") if p.is_file()}
    assert again == report_folder.complete(whole)


def test_a_page_asks_for_nothing_from_outside(whole: page.Files) -> None:
    """No element of the page refers to another file or host."""
    html = whole["index.html"].decode()
    references = re.findall(r'(?:src|href)\s*=\s*"([^"]*)"', html) + re.findall(r"url\(([^)]*)\)", html)
    assert [ref for ref in references if not ref.startswith(("#", "data:"))] == []
    assert "<script" not in html
    assert "@import" not in html
    policy = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', html)
    assert [rule.replace("&#39;", "'") for rule in policy] == [page.POLICY]


def test_ids_are_unique_on_the_page(whole: page.Files) -> None:
    """Inlined figures do not take one another's clip paths."""
    ids = re.findall(r'\bid="([^"]*)"', whole["index.html"].decode())
    assert len(ids) == len(set(ids))


def test_figures_hold_no_date_version_or_comment(whole: page.Files) -> None:
    """Nothing in a figure says when or with what it was drawn."""
    for name, content in whole.items():
        if name.endswith(".svg"):
            assert not re.search(r"<!--|<dc:date|Matplotlib", content.decode())
        if name.endswith(".png"):
            assert b"Software" not in content


def test_every_outcome_is_seen(whole: page.Files) -> None:
    """PASS, FAIL, INCONCLUSIVE and NOT RUN are words on the page, and a waived FAIL is still FAIL."""
    shown = text(whole)
    for outcome in ("✓ PASS", "✗ FAIL", "? INCONCLUSIVE", "– NOT RUN"):
        assert outcome in shown
    gate = shown[shown.index('id="gate-H1"') :].split("</article>")[0]
    assert "✗ FAIL" in gate
    assert "Waived by the owner: known, ticket 17" in gate
    assert "rest_api_proxy/rest-1: no check" in gate


def test_the_summary_has_a_version_and_the_same_figures(whole: page.Files) -> None:
    """summary.json names its schema and holds what the tables hold."""
    summary = json.loads(whole["summary.json"])
    assert summary["schema_version"] == 1
    assert summary["load"]["requests"] == 7200
    assert [gate["outcome"] for gate in summary["verdicts"]].count("PASS") == 2
    rows = {row["operation"]: row for row in summary["load"]["operations"]}
    assert rows["cfn CreateStack"]["response_s"]["p99"]["value"] is None
    assert rows["all"]["response_s"]["p99"]["low"] <= rows["all"]["response_s"]["p99"]["value"]
    shares = {share["name"]: share["n"] for share in summary["backends"]["shares"]}
    assert shares["rest-1"] == 120


def test_what_clients_sent_is_escaped(builder: Any, one: Any) -> None:
    """Markup in names, reasons and operations is shown, not obeyed."""
    evil = '<script>alert("x")</script>|**` [a](javascript:1) @u #1 \x1b[31m\u202e\n# h\n    - l'
    printable = evil.partition("\x1b")[0]  # files of samples with other names are refused
    samples = [one(f"rest {printable}", at_ms=i * 10, error="status", status=500) for i in range(30)]
    samples += [one("rest list", at_ms=i * 10) for i in range(300)]
    builder.about(scenario=evil, deployment=evil, started=evil, commands=[["calorimeter", "run", "a b"]])
    builder.samples({name: [row[name] for row in samples] for name in samples[0]})
    builder.verdicts(
        Verdict(
            gate="S1",
            heading=evil,
            guide=evil,
            judgement=Judgement(
                outcome=Outcome.FAIL, why=evil, counter_examples=(evil,), figures={evil: evil}
            ),
            waived=evil,
        )
    )
    files = words(builder)
    html, markdown = files["index.html"].decode(), files["report.md"].decode()
    assert "<script" not in html
    assert "&lt;script&gt;" in text(files)
    inline = [child for token in MARKDOWN.parse(markdown) for child in token.children or ()]
    assert {child.type for child in inline} <= {"text", "code_inline", "strong_open", "strong_close"}
    assert {child.content for child in inline if child.type == "code_inline"} == {"@", "#"}
    assert [line for line in inline if evil.splitlines()[0][:30] in line.content]
    assert not re.search("[\x00-\x08\x0e-\x1f\x7f-\x9f\u202e\ud800]", html + markdown)
    assert [line for line in markdown.splitlines() if line.startswith("    ")] == [
        f"    calorimeter report runs/{builder.path.name}"
    ]
    assert "calorimeter run &#39;a b&#39;" in html
    assert json.loads(files["summary.json"])["schema_version"] == 1


def test_tls_that_was_not_verified_is_a_limit(builder: Any) -> None:
    """By deployment.toml, or by the cloud for Keystone alone; verified TLS is no limit."""

    def said() -> list[str]:
        return [line for line in page_text.limits(page_content.collect(builder.run)) if "TLS" in line]

    builder.samples(seconds=2)
    assert said() == []
    builder.about(keystone_verified=False)
    assert said() == [
        "TLS certificates of Keystone are not verified (clouds.yaml): any machine on the way can read and "
        "change requests and answers, passwords and tokens included."
    ]
    file = builder.path / "deployment.toml"
    file.write_text(f"{file.read_text()}\n[tls]\nverify = false\n")
    assert said()[0].startswith("TLS certificates of servers are not verified ([tls] verify = false): any")


def test_a_verdict_of_t1_over_another_window_is_named(builder: Any) -> None:
    """A page whose tables are of the same window has no such sentence."""

    def judged(window_s: float) -> str:
        judgement = Judgement(outcome=Outcome.PASS, why="met", figures={"window_s": window_s})
        builder.verdicts(Verdict(gate="T1", heading="", guide="", judgement=judgement))
        return " ".join(page_text.limits(page_content.collect(builder.run)))

    load = page_content.collect(builder.samples(seconds=5).run).load
    assert load is not None
    measured_s = round(load.measured.length_s, 3)
    assert "Gate T1 was judged over" not in judged(measured_s)
    other = f"Gate T1 was judged over 87.0 s, the tables of this page are of {measured_s:.1f} s"
    assert other in judged(87)


def test_gates_without_load_say_so(builder: Any, polls: Any) -> None:
    """A run of gates only has verdicts, shares from their figures, and no figure of load."""
    files = made(builder.verdicts(*polls.gates()))
    assert "No samples were recorded in this run" in text(files)
    assert [name for name in files if name.startswith("figures/")] == [
        "figures/backends.svg",
        "figures/backends.png",
        "figures/engines.svg",
        "figures/engines.png",
    ]
    assert "as gate S1 found them (not under load)" in text(files)
    assert json.loads(files["summary.json"])["load"] is None


def test_what_is_not_drawn_says_why(builder: Any, whole: page.Files) -> None:
    """A figure without data is one line with its reason; one that is drawn has no such line."""
    shown = re.sub(r"<[^>]*>", "", text(words(builder.samples(seconds=30))))
    for line in (
        "Not drawn: Rotation over the engines, because the run holds no evidence of gate E2.",
        "Not drawn: Faults, because no fault was injected in this run.",
        "Not drawn: Open connections per backend, because no counters of a proxy were recorded.",
        "Not drawn: Achieved against offered load, because the offered load hardly varied",
    ):
        assert line in shown
    drawn = {name.removeprefix("figures/").removesuffix(".svg") for name in whole if name.endswith(".svg")}
    assert not [name for name in drawn if f'id="omitted-{name}"' in text(whole)]


def test_load_without_gates_says_so(builder: Any) -> None:
    """A run of load only says that no gates were run and what the watch did not see."""
    shown = text(words(builder.samples(seconds=5)))
    assert "No gates were run." in shown
    assert "watch/proxy.jsonl is missing" in shown
    assert "too few to detect a warm-up" in shown


@pytest.mark.parametrize("error", ["", "timeout", "dropped"])
def test_a_single_sample_is_enough_for_a_page(builder: Any, one: Any, error: str) -> None:
    """One request, whatever became of it, makes a page without a percentile."""
    sample = one("rest list", error=error)
    builder.samples({name: [value] for name, value in sample.items()})
    for figure in figure_list.of(page_content.collect(builder.run)):
        assert figure.name in ("throughput", "latency-over-time", "latency-heat-map", "generator")
        assert style.svg(figure.plot, style.NARROW, figure.name).startswith("<svg")
    assert "1 requests from 1 source addresses" in text(words(builder))


def _command(*arguments: str) -> tuple[int, str]:
    found = CliRunner().invoke(report, list(arguments), standalone_mode=False)
    if isinstance(found.exception, InputError):
        return 2, str(found.exception)
    if found.exception:
        raise found.exception
    return 0, found.output


def test_the_command_prints_the_path_last(
    builder: Any, polls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`report` takes the newest run and its last line is the page's path."""
    monkeypatch.chdir(builder.verdicts(*polls.gates()).path.parent.parent)
    status, output = _command()
    assert status == 0
    path = Path(output.splitlines()[-1].removeprefix("report: "))
    assert path.name == "index.html"
    assert [entry.name for entry in path.parent.parent.iterdir() if entry.name.startswith(".")] == []


def test_the_newest_run_is_the_last_by_name(tmp_path: Path) -> None:
    """Folders without run.json are no runs."""
    for name in ("20260101T000000Z-a-1", "20260301T000000Z-b-2", "20260201T000000Z-c-3", "zzz"):
        (tmp_path / name).mkdir()
        if name != "zzz":
            (tmp_path / name / "run.json").write_text("{}")
    assert newest(tmp_path).name == "20260301T000000Z-b-2"
    with pytest.raises(InputError, match="holds no run folder"):
        newest(tmp_path / "nowhere")


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _foreign(path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), path)


def _newer(path: Path) -> None:
    table = pq.read_table(path)
    metadata = {**table.schema.metadata, b"calorimeter.version": b"9"}
    pq.write_table(table.replace_schema_metadata(metadata), path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_truncate, "is truncated or not a Parquet file"),
        (lambda path: path.write_bytes(b""), "is truncated or not a Parquet file (0 bytes)"),
        (_foreign, "was not written as a sample file of Calorimeter"),
        (_newer, "sample schema version 9; valid: 1"),
    ],
)
def test_damaged_samples_are_one_clear_line(full: Any, damage: Any, message: str) -> None:
    """A samples file that cannot be trusted is named, with what is wrong; nothing is written."""
    damage(full.path / "samples" / "w1-0.parquet")
    status, line = _command(str(full.path))
    assert status == 2
    assert "w1-0.parquet" in line
    assert message in line
    assert "\n" not in line
    assert not (full.path / "report").exists()


@pytest.mark.parametrize("changes", [{"scheduled_ns": 0}, {"done_ns": 2**62}])
def test_times_that_no_request_has_are_one_clear_line(builder: Any, one: Any, changes: Any) -> None:
    """A file of the right shape with foreign content is refused, not drawn over half a century."""
    sample = one("rest list") | changes
    builder.samples({name: [value] for name, value in sample.items()})
    status, line = _command(str(builder.path))
    assert (status, "times that no request has" in line, "\n" in line) == (2, True, False)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("run.json", "{", "is damaged: not JSON"),
        ("run.json", '{"schema_version": 7}', "schema_version 7; valid: 1"),
        ("run.json", '{"schema_version": 1}', "run.json: has no id"),
        ("verdicts.json", "[]", "schema_version None; valid: 1"),
        ("deployment.toml", "name = 3", "deployment.toml"),
    ],
)
def test_damaged_files_are_one_clear_line(full: Any, file: str, content: str, message: str) -> None:
    """Each file of a run that is damaged or of another version is named."""
    (full.path / file).write_text(content)
    status, line = _command(str(full.path))
    assert (status, message in line, "\n" in line) == (2, True, False)


def test_whatever_a_run_notes_makes_a_page(module_builder: Any) -> None:
    """Notes of another version, of any shape, are shown or left out; they do not break the page."""
    found = page_content.collect(module_builder.run)
    environment = found.about["environment"]
    keys = (
        "load",
        "proxy_config",
        "users",
        "stopped",
        "turn",
        "scenario",
        "side",
        "unknown",
        "environment",
    )
    for value in (None, [], {}, "text", 3, [[]], {"a": [None]}, {"sha256": 1}):
        notes = [{key: value} for key in keys] + [
            {"environment": environment | {key: value}} for key in environment
        ]
        for note in notes:
            other = replace(found, about=found.about | note)
            for words_of in (page_text.environment, page_text.topology, page_text.run):
                assert all(isinstance(cell, str) for row in words_of(other) for cell in row)
            assert summary.of(other).run == found.about["id"]


def test_folders_that_are_no_run(tmp_path: Path, builder: Any) -> None:
    """A missing folder, an empty one, a run that holds nothing and an output not ours are refused."""
    assert "is not a run folder" in _command(str(tmp_path / "missing"))[1]
    (tmp_path / "empty").mkdir()
    assert "is not a run folder" in _command(str(tmp_path / "empty"))[1]
    assert "holds neither samples nor verdicts" in _command(str(builder.path))[1]
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "letters.txt").write_text("dear")
    (builder.path / "samples" / "w0-0.parquet").write_bytes(b"not read, for the output is refused first")
    assert "has no manifest, and holds letters.txt" in _command(str(builder.path), "--output", str(mine))[1]
    assert (mine / "letters.txt").exists()
    (mine / "summary.json").write_text("{}")  # which made the folder a report once, and deleted it
    assert "holds letters.txt" in _command(str(builder.path), "--output", str(mine))[1]
    assert "is the folder of a run" in _command(str(builder.path), "--output", str(builder.path))[1]
    assert (mine / "letters.txt").exists() and (builder.path / "run.json").exists()
    assert "cannot be" in _command(str(builder.path), "--output", "/proc/report")[1]
