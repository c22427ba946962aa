"""`bin/soak field [NUMBER [FIRST [SECONDS]]]`: mutated field cases, and each promise that is broken."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from calorimeter.config.audit import Inputs, corrected, patch
from calorimeter.config.haproxy import program
from tests.config.field.mutations import mutated
from tests.config.field.promises import broken_promises

NUMBER = 20_000
SHOWN = 3
"""Examples shown of one kind of fault."""


def _by_programs(inputs: Inputs) -> Iterator[str]:
    """`patch -p1` gives the corrected files, and HAProxy says nothing new about them."""
    after = corrected(inputs)
    if after == inputs:
        return
    with TemporaryDirectory() as folder:
        old = _messages(inputs, Path(folder))
        written = patch(inputs, after).encode("utf-8", "surrogateescape")
        command = ["patch", "-p1", "--batch", "--no-backup-if-mismatch"]
        done = subprocess.run(command, cwd=folder, input=written, capture_output=True, check=False)
        if done.returncode:
            yield f"patch: {done.stdout.decode(errors='replace')}"
        for name, text in after.texts.items():
            if (Path(folder) / name).read_bytes() != text.encode("utf-8", "surrogateescape"):
                yield "patch does not give the corrected file"
        if not any(fatal for fatal, _ in old):  # else HAProxy did not read to the end
            new = sorted(text for _, text in _messages(after, Path(folder)) - old)
            yield from (f"haproxy -c: {text}" for text in new)


def _messages(inputs: Inputs, folder: Path) -> set[tuple[bool, str]]:
    """(fatal, text) of what `haproxy -c` says about the proxy's files, without numbers of lines."""
    for name, text in inputs.texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    files = [folder / name for _, files in inputs.proxies for name, _ in files]
    said = program.messages(files) or ()
    return {(message.fatal, re.sub(r"\d+|/\S+", "N", message.text)) for message in said}


def _faults(number: int) -> list[str]:
    try:
        case = mutated(number)
        return [*broken_promises(case), *_by_programs(case.inputs)]
    except Exception as problem:
        last = traceback.extract_tb(problem.__traceback__)[-1]
        return [f"raises {type(problem).__name__} in {last.filename}:{last.lineno}: {problem}"]


def main() -> int:
    """Try NUMBER mutations from FIRST on, for SECONDS at most; exit status 1 if a promise is broken."""
    given = [int(word) for word in sys.argv[1:]]
    number, first, seconds = (*given, *(NUMBER, 0, 10**6)[len(given) :])
    kinds: Counter[str] = Counter()
    started = time.monotonic()
    done = 0
    for done in range(1, number + 1):
        for fault in _faults(first + done - 1):
            kind = "".join(char for char in fault if not char.isdigit())[:40]
            kinds[kind] += 1
            if kinds[kind] <= SHOWN:
                print(f"mutated({first + done - 1}): {fault}", flush=True)
        if time.monotonic() - started > seconds:
            break
    print(f"{done} mutations in {time.monotonic() - started:.0f} s, {sum(kinds.values())} broken promises")
    for kind, count in kinds.most_common():
        print(f"{count:6}  {kind}")
    return int(bool(kinds))
