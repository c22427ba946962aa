"""Gates H: backend health."""

from __future__ import annotations

from verify.bench import Bench
from verify.checks import health
from verify.experiments.state import proxy_states
from verify.gates import gate
from verify.judge import Judge


@gate("H1", guide="option  httpchk", needs=("proxy stats",))
def test_health_checks_really_run(bench: Bench, judge: Judge) -> None:
    """Health checks really run, on every backend.

    The guide sets `option httpchk`; whether anything is checked is read from the proxy's own state,
    not from its file.
    """
    judge(proxy_states(bench), health.checks_really_run)
