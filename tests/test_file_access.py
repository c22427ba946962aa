"""Files are opened in one module: `calorimeter.core.files` bounds reading and guards what is replaced."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.places import CLONE

METHODS = {"read_text", "read_bytes", "write_text", "write_bytes", "mkdir", "touch", "to_csv", "to_parquet"}
"""Methods of a path, or of a table, that open or make a file by its name."""

FUNCTIONS = {
    *("open", "io.open", "os.open", "os.mkdir", "os.makedirs", "os.replace", "os.rename", "json.load"),
    *("shutil.copy", "shutil.copy2", "shutil.copyfile", "shutil.move", "shutil.copytree", "tomllib.load"),
    *("pq.read_table", "pd.read_csv", "pd.read_json", "pd.read_parquet", "np.load", "yaml.load"),
    *("pq.ParquetFile", "pq.read_schema", "pa.OSFile", "pa.memory_map", "logging.FileHandler"),
}

NAMES = METHODS | {name.rpartition(".")[2] for name in FUNCTIONS}

CALL = re.compile(rf"(?<!\bfiles\.)\b(?:{'|'.join(sorted(NAMES))})\(")
"""How a call of one of them is written: a file without it needs no closer look."""

ALLOWED: dict[str, set[str]] = {
    # /proc: the kernel's own files
    "calorimeter/core/host/environment_marks.py": {"Path(f'/proc/{pid}/environ').read_bytes"},
    "calorimeter/lab/processes.py": {"Path(f'/proc/{pid}/stat').read_text"},
    "calorimeter/lab/ports.py": {"Path(f'/proc/self/net/{table}').read_text"},
    # namespaces are special files, opened without waiting
    "calorimeter/core/host/netns.py": {"os.open"},
    "calorimeter/core/files.py": {"*"},
    "calorimeter/workload/template.py": {"yaml.load"},  # of text that files.read_text has read
    # pyarrow opens files itself: after `files.regular`, or a file that this process has just written.
    "calorimeter/core/recorded/recorded_tables.py": {"pq.ParquetFile", "pa.OSFile"},
    "calorimeter/load/recording/recorder.py": {"pq.ParquetFile", "pq.read_schema"},
    "calorimeter/load/run/worker_files.py": {"pq.read_schema"},
    "calorimeter/gates/affinity/locust_load.py": {"pq.read_table"},
    "calorimeter/core/terminal.py": {"open", "os.open"},  # /dev/null, in place of a stream that is gone
}
"""What a module may use itself, and `*` for everything; beside each line the reason why."""


def opened(file: Path) -> Iterator[tuple[int, str]]:
    """The line and the name of each call that opens a file without `calorimeter.core.files`."""
    text = file.read_text("utf-8")
    if not CALL.search(text):  # a syntax tree takes long
        return
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        method = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if method not in NAMES:  # so does `unparse`
            continue
        name = ast.unparse(node.func)
        # `RunDir.open`, `files.read`: a module of ours, or a class, opens in its own way.
        opens = method == "open" and not name.rpartition(".")[0].rpartition(".")[2][:1].isupper()
        in_memory = (
            method.startswith("to_") and not node.args and all(k.arg != "path" for k in node.keywords)
        )
        ours = name.startswith("files.")
        if name in FUNCTIONS or ((method in METHODS or opens) and not in_memory and not ours):
            yield node.lineno, name


def test_files_are_opened_in_one_place() -> None:
    """No module of the package opens, makes or replaces a file on its own."""
    found = {}
    for folder in ("calorimeter", "loadtests", "verify"):
        for file in (CLONE / folder).rglob("*.py"):
            name = file.relative_to(CLONE).as_posix()
            allowed = ALLOWED.get(name, set())
            calls = [f"{line}: {call}" for line, call in opened(file) if not {call, "*"} & allowed]
            if calls:
                found[name] = calls
    assert found == {}


def test_the_rule_finds_each_way(tmp_path: Path) -> None:
    """The rule has been red: each of these lines opens a file, and the last three do not."""
    code = tmp_path / "code.py"
    ways = ["open('a')", "path.open('a')", "(a / 'b').read_text()", "x.y.write_bytes(b'')", "os.open(p, 0)"]
    ways += ["shutil.copyfile(a, b)", "tomllib.load(file)", "p.mkdir()", "table.to_csv(path)"]
    code.write_text(
        "\n".join([*ways, "RunDir.open(path)", "files.read_text(path)", "table.to_csv(index=False)"])
    )
    assert [line for line, _ in opened(code)] == list(range(1, len(ways) + 1))
