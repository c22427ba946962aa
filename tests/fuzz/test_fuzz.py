"""No input of any kind ends in a traceback, a hang, a wrong exit status, or harm outside its folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz import campaign
from tests.fuzz.case import READER, Case, Ended, faults
from tests.fuzz.case_runner import CaseRunner
from tests.fuzz.deployment_files import FILES, VALID
from tests.fuzz.faulty_readers import OUTSIDE
from tests.fuzz.haproxy_texts import SECRET
from tests.fuzz.subjects import SUBJECTS

CASES = 2000
PARTS = 4
"""Test items of each subject, so that all cores are used."""
SHARE = -(-CASES // (len(SUBJECTS) * PARTS))


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaseRunner]:
    """A case server with whole run folders."""
    with CaseRunner(campaign.whole_folders(tmp_path_factory.mktemp("whole"))) as started:
        yield started


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("subject", SUBJECTS)
def test_no_case_breaks_a_promise(runner: CaseRunner, subject: str, part: int) -> None:
    """The same cases each time; `bin/soak fuzz` tries others, and shrinks what it finds."""
    broken = {
        fault: f"{fault}: {each.case.words}: {each.ended.err[-400:].decode('utf-8', 'replace')}"
        for each in campaign.cases(runner, subject, SHARE, part)
        for fault in each.faults
    }
    assert not broken, "\n".join(broken.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reader", "fault"),
    [
        ("raise", "traceback: KeyError in no line of ours"),
        ("loop", "hang"),
        ("memory", "traceback: MemoryError in no line of ours"),
        ("exit", "exit status 7"),
        ("child", "1 processes left"),
        ("escape", r"control character b'\x1b' in the output"),
        ("leak", "leak in stdout"),
        ("outside", f"changes open {OUTSIDE}"),
        ("rename", "changes os.rename /dev/null"),
        ("two_lines", "2 lines say why"),
    ],
)
def test_each_promise_can_be_broken(runner: CaseRunner, reader: str, fault: str) -> None:
    """The harness has been red: it sees each kind of fault, and only that one."""
    case = Case("harness", (f"{READER}{reader}",), {"input": SECRET.encode()}, (SECRET,), most_cpu_s=1)
    assert faults(case, runner.run(case)) == (fault,)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "guarded"),
    [
        (("run", "first-mix", "--deployment", "deployment.toml", "--duration", "1s"), "starts python"),
        (("lab", "up"), "starts "),
        (("trace", "deployment.toml", "--", "true"), "starts python"),
    ],
)
def test_valid_commands_end_before_they_start_a_load(
    runner: CaseRunner, words: tuple[str, ...], guarded: str
) -> None:
    """A case that is valid starts neither a load nor a lab, and reaches no broker."""
    ended = runner.run(Case("harness", words, {**FILES, "deployment.toml": VALID}))
    assert ended.guarded.startswith(guarded)
    assert ended.outside == ()  # a `haproxy -v` of its own may still run when the guard ends it


def test_a_good_end_breaks_no_promise() -> None:
    """Status 0, 1 and 2 with one line are good ends; a guarded case is one, too."""
    case = Case("harness", ("audit",))
    for ended in (
        Ended(0),
        Ended(1, out=b"x"),
        Ended(2, err=b"calorimeter: x\n"),
        Ended(99, guarded="starts x"),
    ):
        assert faults(case, ended) == ()
    assert faults(case, Ended(2)) == ("0 lines say why",)
    assert faults(case, Ended(None)) == ("hang",)
