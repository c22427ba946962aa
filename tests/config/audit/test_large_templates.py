"""A `server-template` with more servers than anybody has."""

from __future__ import annotations

import time

import pytest

from calorimeter.config.audit import Inputs, audit

TEXT = "listen heat\n    bind :8004\n    server-template t 1-99999999 heat:8004 check\n"


@pytest.mark.slow
def test_a_template_of_a_hundred_million_servers_is_judged_in_seconds() -> None:
    """Rules that compare servers with one another do not take the square of the template's number."""
    begun = time.process_time()
    report = audit(Inputs(proxies=(("proxy", (("haproxy.cfg", TEXT),)),), heat=(), environment={}))
    assert report.faults
    assert time.process_time() - begun < 5
