"""The pytest plugin in other people's test suites, and in the clone."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from calorimeter.core.verdict import Outcome, read
from tests.places import CLONE

pytestmark = pytest.mark.slow

SUITES = CLONE / "tests/data/pytest_suites"
LOCUST = pytest.mark.parametrize("locust", [(), ("-p", "no:locust")], ids=["locust", "no-locust"])

CLOUD = """
name = "cloud"
[rest]
url = "http://127.0.0.1:1/v1"
proxy_section = "rest_api_proxy"
backends = [{ name = "b", address = "127.0.0.1:1" }]
"""


@pytest.fixture
def suite(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of the test suite that the test names, beside a deployment file; nothing listens there."""
    folder = tmp_path / "suite"
    folder.mkdir()
    for file in (SUITES / request.param).iterdir():
        # The names keep this suite from collecting the others.
        (folder / file.name.removeprefix("suite_")).write_text(file.read_text())
    (folder / "cloud.toml").write_text(CLOUD)
    return folder


def run_pytest(
    folder: Path, *words: str, addopts: str = "", autoload: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run `pytest` in a folder, as its owner does."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"PYTHONPATH": str(CLONE), "COLUMNS": "200", "PYTEST_ADDOPTS": addopts}
    if not autoload:
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def outcomes(folder: Path) -> dict[str, Outcome]:
    """Gate → outcome of the only run below a folder."""
    (file,) = folder.glob("*/verdicts.json")
    return {verdict.gate: verdict.judgement.outcome for verdict in read(file).verdicts}


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """pytest's count of the tests."""
    return done.stdout.splitlines()[-1]


@LOCUST
@pytest.mark.parametrize("suite", ["strict"], indirect=True)
def test_a_suite_that_does_not_use_the_plugin_is_not_disturbed(
    suite: Path, locust: tuple[str, ...]
) -> None:
    """Its own options `--run` and `--summary`, fixtures, marker and strictness work as without it."""
    done = run_pytest(suite, "--run", "mine", "--summary", "file.md", *locust)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 4 passed in " in last_line(done)
    for listing in ("--help", "--fixtures"):
        assert "gates on a scaled-out Heat" not in run_pytest(suite, listing, *locust).stdout
        assert "calorimeter_session" not in run_pytest(suite, listing, *locust).stdout


@LOCUST
@pytest.mark.parametrize("suite", ["gates"], indirect=True)
def test_gates_of_a_suite_run_beside_its_ordinary_tests(suite: Path, locust: tuple[str, ...]) -> None:
    """Verdicts are written to a run folder; ordinary tests are reported as usual."""
    done = run_pytest(suite, "--deployment", "cloud.toml", "-k", "not wrong", *locust)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_ordinary.py .s" in done.stdout
    assert "PASS         X1   The deployment has a name" in done.stdout
    assert "2 passed, 1 skipped, 1 deselected" in last_line(done)
    assert outcomes(suite / "runs") == {"X1": Outcome.PASS}


@LOCUST
@pytest.mark.parametrize("suite", ["gates"], indirect=True)
def test_red_gate_of_a_suite_ends_with_the_command_that_repeats_it(
    suite: Path, locust: tuple[str, ...]
) -> None:
    """The command has the options of the run, is quoted for a shell, and judges only that gate."""
    (suite / "cloud.toml").rename(suite / "my cloud.toml")
    options = ("--deployment", "my cloud.toml", "--runs", "runs 1", "--sources", "7", "--yes-break-it")
    done = run_pytest(suite, *options, *locust)
    assert done.returncode == 1
    assert "1 failed, 2 passed, 1 skipped" in last_line(done)
    (again,) = [line for line in done.stdout.splitlines() if " again: " in line]
    assert again.strip() == (
        "again: pytest test_own_gates.py::test_the_name_is_wrong --deployment 'my cloud.toml' --gates X2 "
        "--runs 'runs 1' --sources 7 --yes-break-it"
    )
    words = shlex.split(again.partition("again: pytest ")[2].replace("runs 1", "runs 2"))
    assert run_pytest(suite, *words, *locust).returncode == 1
    assert outcomes(suite / "runs 2") == {"X2": Outcome.FAIL}


@pytest.mark.parametrize("suite", ["gates"], indirect=True)
def test_options_that_a_suite_has_get_another_name(suite: Path) -> None:
    """The suite's `--sources` stays its own; the gates' is `--calorimeter-sources`, in the command too."""
    (suite / "conftest.py").write_text(
        'def pytest_addoption(parser):\n    parser.addoption("--sources", default="own")\n'
    )
    words = ("--deployment=cloud.toml", "--sources", "x", "--calorimeter-sources", "7")
    done = run_pytest(suite, *words)
    assert done.returncode == 1
    assert "--gates X2 --calorimeter-sources 7\n" in done.stdout


@LOCUST
@pytest.mark.parametrize("suite", ["gates"], indirect=True)
def test_gates_are_deselected_without_a_deployment(suite: Path, locust: tuple[str, ...]) -> None:
    """A plain `pytest` of the suite runs its ordinary tests, under --strict-markers too."""
    done = run_pytest(suite, "--strict-markers", *locust)
    assert done.returncode == 0, done.stdout
    assert "1 passed, 1 skipped, 2 deselected" in last_line(done)


@pytest.mark.parametrize("suite", ["gates"], indirect=True)
def test_plugin_stays_off_if_the_suite_has_a_deployment_option(suite: Path) -> None:
    """The suite's `--deployment` gets its value, and no gate runs."""
    (suite / "conftest.py").write_text(
        "def pytest_addoption(parser):\n    parser.addoption('--deployment')\n\n"
        "def pytest_report_header(config):\n    return f'mine is {config.option.deployment}'\n"
    )
    done = run_pytest(suite, "--deployment", "production")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mine is production" in done.stdout
    assert "1 passed, 1 skipped, 2 deselected" in last_line(done)
    assert not (suite / "runs").exists()


@pytest.mark.parametrize("suite", ["gates"], indirect=True)
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("nowhere.toml",), "nowhere.toml: cannot be read (No such file or directory)"),
        (("cloud.toml", "-n", "2"), "-n: given with gates, which share one deployment; valid: without -n"),
    ],
)
def test_unusable_input_is_one_line(words: tuple[str, ...], line: str, suite: Path) -> None:
    """The line says what cannot be used and why; the status is 2, and no test runs."""
    done = run_pytest(suite, "--deployment", *words)
    assert done.returncode == 2
    assert (done.stdout + done.stderr).splitlines() == [f"Exit: calorimeter: {line}"]


@pytest.mark.parametrize("suite", ["gates"], indirect=True)
def test_gate_that_is_declared_twice_is_refused(suite: Path) -> None:
    """Two tests with one id would overwrite each other's verdict."""
    (suite / "test_copy.py").write_text((suite / "test_own_gates.py").read_text())
    done = run_pytest(suite, "--deployment", "cloud.toml")
    assert done.returncode == 2
    assert "is gate X1, and so is test_copy.py::test_the_deployment_has_a_name" in done.stderr


@LOCUST
@pytest.mark.parametrize("suite", ["broken"], indirect=True)
def test_gate_without_a_verdict_of_its_own_is_inconclusive(suite: Path, locust: tuple[str, ...]) -> None:
    """Whether it breaks, is skipped or judges nothing: the reason is one line, and its test fails."""
    done = run_pytest(suite, "--deployment", "cloud.toml", *locust)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout
    (file,) = suite.glob("runs/*/verdicts.json")
    assert {v.gate: (v.judgement.outcome, v.judgement.why) for v in read(file).verdicts} == {
        "X1": (Outcome.INCONCLUSIVE, "the check itself broke: ValueError: of two lines"),
        "X2": (Outcome.INCONCLUSIVE, "proxy log: is empty"),
        "X3": (Outcome.INCONCLUSIVE, "the gate judged nothing"),
        "X4": (Outcome.INCONCLUSIVE, "skipped: not today"),
        "X5": (Outcome.INCONCLUSIVE, "skipped: not now"),
        "X6": (Outcome.INCONCLUSIVE, "the gate itself broke: RuntimeError: no set-up"),
        "X7": (Outcome.INCONCLUSIVE, "the gate itself broke: Failed: by itself"),
        "X8": (Outcome.INCONCLUSIVE, "the gate itself broke: SystemExit: 0"),
        "X9": (Outcome.FAIL, "not so"),
    }


@pytest.mark.parametrize("suite", ["broken"], indirect=True)
@pytest.mark.parametrize("gate_id", ["X3", "X4", "X5", "X9"])
def test_gate_that_pytest_would_let_pass_is_red(suite: Path, gate_id: str) -> None:
    """The exit status is 1, and so it is for the command that repeats the gate."""
    done = run_pytest(suite, "--deployment", "cloud.toml", "--gates", gate_id)
    assert done.returncode == 1
    (again,) = [line for line in done.stdout.splitlines() if " again: " in line]
    done = run_pytest(suite, *shlex.split(again.partition("again: pytest ")[2]), "--runs", "again")
    assert done.returncode == 1
    assert list(outcomes(suite / "again")) == [gate_id]


@pytest.mark.parametrize("suite", ["gates"], indirect=True)
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ("test_ordinary.py", "--gates", "X1"),
            "calorimeter: --gates: 'X1' given, but no gate was collected; valid: a path to gates",
        ),
        (("-k", "ordinary", "--gates", "X1"), ""),
        (
            ("-k", "has", "--summary", "/proc/x.md"),
            "calorimeter: /proc/x.md: cannot be written (No such file or directory)",
        ),
    ],
)
def test_success_is_not_reported_for_what_was_not_done(
    words: tuple[str, ...], line: str, suite: Path
) -> None:
    """No gate was judged although gates were asked for, or the summary is missing: the status is 2."""
    done = run_pytest(suite, "--deployment", "cloud.toml", *words)
    assert done.returncode == 2
    assert done.stderr.strip() == line
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize("suite", ["gates"], indirect=True)
def test_damaged_verdicts_are_refused_before_the_first_gate(suite: Path) -> None:
    """A run folder keeps the verdicts that it has; what cannot be read is not replaced."""
    assert run_pytest(suite, "--deployment", "cloud.toml", "-k", "has").returncode == 0
    (file,) = suite.glob("runs/*/verdicts.json")
    file.write_text("{")
    done = run_pytest(suite, "--deployment", "cloud.toml", "-k", "has", "--run", str(file.parent))
    assert done.returncode == 2
    line = f"calorimeter: {file}: is not a verdicts.json (not JSON"
    assert done.stderr.strip().startswith(line)
    assert file.read_text() == "{"


@pytest.mark.parametrize("suite", ["same_id"], indirect=True)
def test_gate_with_the_id_of_a_shipped_one_is_a_gate_of_its_own(suite: Path) -> None:
    """Its needs and the consent for it are its own, and the docs of the shipped one are not about it."""
    done = run_pytest(suite, "--deployment", "cloud.toml")
    assert done.returncode == 1, done.stdout + done.stderr
    assert outcomes(suite / "runs") == {"S1": Outcome.FAIL, "S2": Outcome.NOT_RUN}
    assert "docs:" not in done.stdout
    assert "again: pytest test_own_s1.py::test_own --deployment cloud.toml --gates S1\n" in done.stdout


@pytest.mark.parametrize("autoload", [True, False])
@pytest.mark.parametrize("addopts", ["", "-o addopts=--import-mode=importlib"], ids=["no-locust", "locust"])
def test_clone_runs_its_gates(addopts: str, autoload: bool, tmp_path: Path) -> None:
    """`pytest verify --deployment FILE`: its conftest.py loads the plugin if entry points are off."""
    file = tmp_path / "cloud.toml"
    file.write_text(CLOUD)
    words = ("verify", "--deployment", str(file), "--gates", "A1", "--runs", str(tmp_path / "runs"))
    done = run_pytest(CLONE, *words, addopts=addopts, autoload=autoload)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "names no heat.conf ([[heat_conf]])" in done.stdout
    assert outcomes(tmp_path / "runs") == {"A1": Outcome.INCONCLUSIVE}
    assert (
        "docs: docs/reference/audit-heat.md#a1-every-api-process-has-an-address-of-its-own" in done.stdout
    )
