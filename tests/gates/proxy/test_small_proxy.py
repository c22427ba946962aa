"""Gates through a real HAProxy in front of two toy APIs: what a lab would take longer to show."""

from __future__ import annotations

from pathlib import Path

import pytest

from calorimeter.core.verdict import Outcome, Verdict
from tests.gates import in_process
from tests.gates.small_proxy import SmallProxy, free_port, small_proxy

pytestmark = pytest.mark.lab


PAGE = """\
maxconn 40
global
  maxconn {process}
listen stats
  mode http
  bind 127.0.0.1:{port}
  stats enable
  stats uri /stats
"""


@pytest.mark.parametrize(
    ("process", "config", "outcome", "why"),
    [
        (500, True, Outcome.PASS, "with 40 connections (r maxconn 40) 20 more waited"),
        (40, True, Outcome.INCONCLUSIVE, "cannot be read when it is reached; a stats socket can"),
        (500, False, Outcome.INCONCLUSIVE, "no file of [[proxy]] config sets it"),
    ],
)
def test_a_stats_page_and_the_configuration_have_the_limits(
    tmp_path: Path, process: int, config: bool, outcome: Outcome, why: str
) -> None:
    """P4 reads the section's maxconn from the page, and the process's from the proxy's file."""
    port = free_port()
    with small_proxy(tmp_path, "tcp", defaults=PAGE.format(process=process, port=port)) as at:
        text = at.file.read_text().replace(
            f'stats = ["unix://{tmp_path}/user.sock"]',
            f'stats = ["http://127.0.0.1:{port}/stats"]' + ('\nconfig = ["haproxy.cfg"]' if config else ""),
        )
        at.file.write_text(text + '[consent]\nlevel = "load"\n')
        found = in_process.verified(at.file, "P4", tmp_path / "runs", connections=200)
    judgement = found["P4"].judgement
    assert judgement.outcome is outcome, judgement.why
    assert why in judgement.why


def judged(at: SmallProxy, folder: Path) -> dict[str, Verdict]:
    """The verdicts of gates that only visit."""
    return in_process.verified(at.file, "S1,S3,S4,S8,P1", folder / "runs", sources=300, visits=2)


@pytest.mark.parametrize("mode", ["tcp", "http"])
def test_three_copies_of_each_line_count_once(tmp_path: Path, mode: str) -> None:
    """Two logs, one of them with each line twice: a connection is one, and the verdict names its log."""
    with small_proxy(tmp_path, mode) as at:
        found = judged(at, tmp_path)
    assert {v.judgement.outcome for v in found.values()} == {Outcome.PASS}, found
    figures = found["S1"].judgement.figures
    assert (figures["sources"], figures["connections"], figures["requests"]) == (300, 600, 600)
    assert str(figures["log"]).startswith("udp://127.0.0.1:")
    front = found["P1"].judgement.figures
    assert [front[name] for name in ("sources", "connections", "requests")] == [59, 59, 59]
    assert front["sessions_counted_by_the_proxy"] == 59


def test_swapped_servers_are_found_by_their_addresses(tmp_path: Path) -> None:
    """On a socket of the lowest level: each source is on the predicted name, and on the other backend."""
    with small_proxy(tmp_path, "tcp", swapped=True) as at:
        found = judged(at, tmp_path)
    assert {gate for gate, v in found.items() if v.judgement.outcome is not Outcome.PASS} == {"S3"}
    assert found["S3"].judgement.counter_examples == (
        f"REST a is at 127.0.0.1:{at.b} in the proxy, 127.0.0.1:{at.a} is described: that is b",
        f"REST b is at 127.0.0.1:{at.a} in the proxy, 127.0.0.1:{at.b} is described: that is a",
    )
