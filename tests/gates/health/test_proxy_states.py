"""The gates H read the first stats source that answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from calorimeter.core.deployment import Api, Backend, Deployment, Proxy
from calorimeter.gates.context import Context, Settings
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.health.checks_run import checks_really_run
from calorimeter.gates.health.proxy_states import proxy_states
from tests.gates.evidence.stats_socket import stats_server


def context(*stats: str) -> Context:
    """A deployment of one API with two backends, whose proxy has these stats sources."""
    backends = tuple(
        Backend(name=name, address=f"127.0.0.1:{n}") for n, name in enumerate(("rest-1", "rest-2"), 1)
    )
    rest = Api(url="http://127.0.0.1:8004/v1", proxy_section="rest", backends=backends)
    return Context(Deployment(name="d", rest=rest, proxy=(Proxy(name="p", stats=stats),)), Settings())


def test_h1_reads_the_second_source_if_the_first_is_dead(tmp_path: Path) -> None:
    """A dead first source does not make the gate blind."""
    with stats_server(tmp_path / "alive.sock") as server:
        states = proxy_states(context(f"unix://{tmp_path}/dead.sock", server.url))
    assert (checks_really_run(states).outcome.name, states.source) == ("PASS", server.url)


def test_h1_names_each_source_that_does_not_answer(tmp_path: Path) -> None:
    """If no source answers, the reason of each is given."""
    dead = (f"unix://{tmp_path}/a.sock", f"unix://{tmp_path}/b.sock")
    with pytest.raises(EvidenceUnavailable) as caught:
        proxy_states(context(*dead))
    assert all(f"{url}: No such file or directory" in str(caught.value) for url in dead)


def test_h1_says_that_a_proxy_has_no_source() -> None:
    """A proxy without stats sources is named."""
    with pytest.raises(EvidenceUnavailable, match="proxy 'p' names no stats"):
        proxy_states(context())
