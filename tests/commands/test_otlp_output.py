"""`calorimeter trace --otlp`: to a file, to a receiver, and what is refused before anything is done."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from calorimeter.commands import otlp_output
from calorimeter.commands.export import export
from calorimeter.commands.trace import spans_of, trace
from calorimeter.core import deployment as deployments
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.gates.request_path.follow import FollowedCommand
from calorimeter.gates.request_path.path import RequestPath, RequestPaths, SentRequest
from calorimeter.gates.request_path.recording import PathEvidence
from tests.core.test_otlp_sender import receiver, status
from tests.export import otlp_schema
from tests.fuzz import whole_runs


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a trace."""
    return whole_runs.make(tmp_path_factory.mktemp("otlp") / "run", seconds=2)


def traced(*words: object) -> Result:
    """How the command ended."""
    return CliRunner().invoke(trace, [str(word) for word in words], standalone_mode=False)


def refusal(*words: object) -> str:
    """The one line of a command that is refused."""
    problem = traced(*words).exception
    assert isinstance(problem, InputError)
    return str(problem)


def asked(api: str, operation: str) -> SentRequest:
    """A request of a load, or of a command."""
    return SentRequest(
        api=api, operation=operation, source="127.0.0.1", source_port=1, request_id="", sent_ns=1,
        done_ns=2, status=200,
    )  # fmt: skip


def test_a_file_has_the_spans_that_export_writes(run: Path, tmp_path: Path) -> None:
    """The same bytes, again and again; only the owner can read it."""
    for _ in range(2):
        done = traced(run, "--otlp", tmp_path / "spans.jsonl")
        assert done.exception is None
        assert done.output.endswith(f"spans written to {tmp_path / 'spans.jsonl'}\n")
    shown = CliRunner().invoke(export, [str(run), "--format", "otlp"], standalone_mode=False)
    assert (tmp_path / "spans.jsonl").read_text() == shown.stdout
    assert (tmp_path / "spans.jsonl").stat().st_mode & 0o077 == 0
    assert len(list(otlp_schema.spans(shown.stdout))) > 100


def test_a_receiver_gets_the_same_spans(run: Path) -> None:
    """In batches; what it rejects is told."""
    shown = CliRunner().invoke(export, [str(run), "--format", "otlp"], standalone_mode=False).stdout
    rejecting = b'{"partialSuccess": {"rejectedSpans": 2, "errorMessage": "no room"}}'
    with receiver(status(200, rejecting)) as server:
        done = traced("--otlp", server.url, run)
    assert done.exception is None
    assert "".join(body for _, body in server.received) == shown
    assert done.output.endswith("spans sent in 1 batch; 2 were rejected: no room\n")


def test_a_receiver_that_fails_is_one_line(run: Path) -> None:
    """After the trace was shown."""
    with receiver(status(500)) as server:
        done = traced(run, "--otlp", server.url)
    assert "the answer was 500" in str(done.exception) and "requests" in done.output


def test_one_request_is_one_trace(run: Path, tmp_path: Path) -> None:
    """That of its id; one that was not traced is refused."""
    text = CliRunner().invoke(export, [str(run), "--format", "otlp"], standalone_mode=False).stdout
    ids = [
        otlp_schema.values(span.attributes).get("http.response.header.x-openstack-request-id", ("",))[0]
        for _, span in otlp_schema.spans(text)
    ]
    wanted = next(filter(None, ids))
    assert traced(run, wanted, "--otlp", tmp_path / "one.jsonl").exception is None
    found = list(otlp_schema.spans((tmp_path / "one.jsonl").read_text()))
    assert found and len({span.trace_id for _, span in found}) == 1


def test_a_target_is_checked_before_a_command_runs(tmp_path: Path) -> None:
    """Neither the deployment nor the command is looked at."""
    mine = tmp_path / "mine.txt"
    mine.write_text("mine\n")
    assert "exists already, and is not spans as OTLP JSON" in refusal(
        "--otlp", mine, "none.toml", "--", "true"
    )
    assert "must not contain a password" in refusal("--otlp", "http://a:b@c", "none.toml", "--", "true")
    assert mine.read_text() == "mine\n"


def test_a_run_without_a_trace_is_one_line(tmp_path: Path) -> None:
    """With what makes one."""
    made = whole_runs.make(tmp_path / "run", seconds=1)
    (made / "evidence" / "trace.json").unlink()
    done = CliRunner().invoke(export, [str(made), "--format", "otlp"], standalone_mode=False)
    assert "holds no trace; valid: one of `calorimeter run --trace-windows`" in str(done.exception)


def test_times_that_no_message_has_are_refused(tmp_path: Path) -> None:
    """The protocol's times are not negative, and have 64 bits."""
    made = whole_runs.make(tmp_path / "run", seconds=1)
    file = made / "evidence" / "trace.json"
    whole = file.read_text()
    for t_ns in (-1, 2**62):
        file.write_text(whole.replace(f'"t_ns": {whole_runs.START_NS}', f'"t_ns": {t_ns}'))
        assert file.read_text() != whole
        done = CliRunner().invoke(export, [str(made), "--format", "otlp"], standalone_mode=False)
        assert "holds times that no message has" in str(done.exception)


@pytest.fixture
def deployment(run: Path) -> Deployment:
    """The deployment of the run."""
    return deployments.read(run / "deployment.toml")


def test_an_operation_is_asked_for_by_its_route(deployment: Deployment) -> None:
    """The name of a span has no name of a stack; a poll within an operation has no route."""
    front = deployment.api("rest").url
    target = otlp_output.targets(deployment)
    found = target(asked("rest", "show"))
    assert (found.method, found.route) == ("GET", "/v1/:project/stacks/:stack_name/:stack_id")
    assert found.url.startswith(front.rpartition("/v1")[0]) and "{" not in found.url
    unknown = target(asked("rest", "no such operation"))
    assert (unknown.method, unknown.route) == ("_OTHER", "")


@pytest.mark.parametrize(
    ("api", "operation", "path"),
    [
        ("rest", "GET /v1/f00ba4/stacks/x{y}/%25a", "/v1/:project/stacks/x%7By%7D/%25a"),
        ("rest", "GET /v1/f00ba4", "/v1/:project/"),
        ("rest", "GET /", "/v1/:project/"),
        ("cfn", "POST /v1/", "/v1/"),
    ],
)
def test_a_command_is_asked_for_by_its_path_without_its_project(
    deployment: Deployment, api: str, operation: str, path: str
) -> None:
    """The name of the span is the method alone: a path has the names of stacks."""
    found = otlp_output.targets(deployment)(asked(api, operation))
    assert (found.method, found.route) == (operation.partition(" ")[0], "")
    assert found.url.endswith(path) and "f00ba4" not in found.url


def test_a_command_has_its_own_requests_and_those_of_its_runs(run: Path, deployment: Deployment) -> None:
    """Those of a run name it; those of the command itself have no run."""
    one = RequestPath(
        request=asked("rest", "GET /v1/f00ba4/stacks"),
        backend="rest-1",
        api_process=None,
        legs=(),
        missing=(),
    )
    recording = PathEvidence(events=(), connections=(), processes={}, hosts={}, doubts=())
    followed = FollowedCommand(
        status=0, started_ns=1, ended_ns=2, paths=RequestPaths(paths=(one,)), recording=recording,
        elsewhere=0, hidden=0, runs=((RunDir.open(run), RequestPaths(paths=())),),
    )  # fmt: skip
    found = list(otlp_schema.spans("".join(spans_of(followed, deployment))))
    own = [span.name for about, span in found if "calorimeter.run.id" not in about]
    assert own == ["GET", "GET", "GET", "GET"]
    assert {about["deployment.environment.name"] for about, _ in found} == {deployment.name}
    assert len(found) > 100
