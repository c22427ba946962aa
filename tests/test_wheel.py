"""The wheel, built and installed without a network: its only top-level name, its files and its commands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from calorimeter import __version__
from tests.places import CLONE

pytestmark = pytest.mark.slow


def call(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Call a program that sees neither the clone nor this process's Python paths."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"XDG_STATE_HOME": str(cwd / "state")}
    command = list(map(str, words))
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this clone, built by its own build backend."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=CLONE, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment with the wheel alone.

    A path file lends it the locked dependencies, so that nothing is downloaded.
    """
    environment = tmp_path_factory.mktemp("environment")
    uv = Path(sys.executable).parent / "uv"
    python = environment / "bin/python"
    for words in (
        ("venv", "--offline", "--allow-existing", "--python", sys.executable, environment),
        ("pip", "install", "--offline", "--no-deps", "--python", python, wheel),
    ):
        done = call(uv, *words, cwd=environment)
        assert done.returncode == 0, done.stderr
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment / "bin"


def test_wheel_has_one_top_level_name(wheel: Path) -> None:
    """The package, and the folder that describes it."""
    names = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert names == {"calorimeter", f"calorimeter-{__version__}.dist-info"}


def test_wheel_ships_what_a_clone_has_at_its_top_level(installed: Path, tmp_path: Path) -> None:
    """Every gate, scenario, template and reference page is found inside the package."""
    folders = ("verify", "loadtests", "scenarios", "reports/templates", "docs/reference")
    done = call(installed / "python", CLONE / "tests/data/shipped_files.py", *folders, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    there = [file for name in folders for file in (CLONE / name).rglob("*")]
    expected = {str(file.relative_to(CLONE)) for file in there if file.is_file() and file.suffix != ".pyc"}
    assert set(done.stdout.split()) == expected


def test_commands_of_the_wheel_work(installed: Path, tmp_path: Path) -> None:
    """Its help, its gates with their docs, and a gate on a deployment file."""
    calorimeter = installed / "calorimeter"
    assert "Examples:" in call(calorimeter, "--help", cwd=tmp_path).stdout
    listed = call(calorimeter, "gates", cwd=tmp_path)
    assert listed.returncode == 0, listed.stderr
    assert "calorimeter/shipped/verify/test_affinity.py:" in listed.stdout
    page = call(calorimeter, "gates", "S1", cwd=tmp_path).stdout
    shown = next(line for line in page.splitlines() if line.startswith("docs: "))
    file, _, anchor = shown.removeprefix("docs: ").partition("#")
    assert (tmp_path / file).is_file()
    assert anchor.startswith("s1")
    (tmp_path / "cloud.toml").write_text(
        'name = "cloud"\n[rest]\nurl = "http://127.0.0.1:1/v1"\nproxy_section = "rest"\n'
        'backends = [{ name = "b", address = "127.0.0.1:1" }]\n'
    )
    judged = call(calorimeter, "verify", "cloud.toml", "--gates", "A1", cwd=tmp_path)
    assert judged.returncode == 1, judged.stderr
    assert "INCONCLUSIVE A1" in judged.stdout
    assert "again: calorimeter verify cloud.toml --gates A1\n" in judged.stdout


def test_gates_of_the_wheel_judge_a_published_run(installed: Path, tmp_path: Path) -> None:
    """Without a lab: `calorimeter verify` and pytest on the gates in the package agree."""
    (published,) = (CLONE / "reports/data/rest-and-cfn").iterdir()
    run = shutil.copytree(published, tmp_path / "a 'run'")
    words = ("--run", run, "--gates", "T1,T3")
    judged = call(installed / "calorimeter", "verify", *words, cwd=tmp_path)
    (gates,) = installed.parent.glob("lib/python*/site-packages/calorimeter/shipped/verify")
    tested = call(
        installed / "python", "-m", "pytest", "-p", "no:cacheprovider", gates, *words, cwd=tmp_path
    )
    for done in (judged, tested):
        assert done.returncode == 0, done.stdout + done.stderr
        assert "2 PASS of 2 gates" in done.stdout


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("verify", "bad.toml"), "calorimeter: bad.toml: is not valid TOML: "),
        (
            ("verify", "nowhere.toml"),
            "calorimeter: nowhere.toml: cannot be read (No such file or directory)",
        ),
        (("run", "first-mx"), "did you mean 'first-mix'?"),
        (("gates", "S11"), "did you mean 'S1'?"),
    ],
)
def test_unusable_input_is_one_line(
    words: tuple[str, ...], line: str, installed: Path, tmp_path: Path
) -> None:
    """Exit status 2, and no traceback."""
    (tmp_path / "bad.toml").write_text("name =\n")
    done = call(installed / "calorimeter", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    *progress, message = done.stderr.splitlines()
    assert line in message
    assert progress in ([], ["reading the deployment file and connecting"])
