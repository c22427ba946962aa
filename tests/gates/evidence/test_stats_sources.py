"""Every reader of a proxy's state reads the first stats source that answers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from calorimeter.core.deployment import Api, Backend, Deployment, Proxy
from calorimeter.core.waiting import until
from calorimeter.gates import doctor
from calorimeter.gates.context import Context, Settings
from calorimeter.gates.evidence.load_recorder import LoadRecorder
from calorimeter.gates.evidence.stats_sources import ProxyStats, proxy_stats, proxy_stats_if_visible
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable, NotVisible
from calorimeter.gates.health import fault_rig, proxy_states
from tests.gates.evidence.stats_socket import stats_server

SERVERS = {"rest-1", "rest-2"}
DEAD_PAGE = "http://127.0.0.1:9/stats"


def described(*stats: str) -> Deployment:
    """A deployment of one API with two backends, whose proxy has these stats sources."""
    backends = tuple(Backend(name=f"rest-{n}", address=f"127.0.0.1:{n}") for n in (1, 2))
    rest = Api(url="http://127.0.0.1:8004/v1", proxy_section="rest", backends=backends)
    return Deployment(name="d", rest=rest, proxy=(Proxy(name="p", stats=stats),))


def for_all_gates(deployment: Deployment, _: Path) -> set[str]:
    """What the gates S and P, and H's trials, read."""
    (stats,) = proxy_stats(deployment)
    return {row.name for row in stats.show_stat() if row.kind == "server"}


def for_h1(deployment: Deployment, _: Path) -> set[str]:
    """What gate H1 reads."""
    found = proxy_states.proxy_states(Context(deployment, Settings()))
    return {state.server for state in found.states}


def for_trials(deployment: Deployment, _: Path) -> set[str]:
    """What a trial of gates H polls."""
    polled = fault_rig.StatePolling(Context(deployment, Settings()))
    return {server for _, _, server in polled.status}


def for_the_record(deployment: Deployment, folder: Path) -> set[str]:
    """What is recorded beside a load: one poll, for the load is over at once."""
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading) as closing:
        LoadRecorder(deployment, folder, 1.0).until_closed(closing)
    line = json.loads((folder / "proxy.jsonl").read_text())
    if "unavailable" in line:
        raise EvidenceUnavailable("record", line["unavailable"])
    return {server["server"] for server in line["servers"]} - {"BACKEND"}


def for_doctor(deployment: Deployment, _: Path) -> set[str]:
    """What the command `doctor` reports; it counts servers, and does not name them."""
    (part,) = (part for part in doctor.examine(deployment) if part.name == "proxy stats")
    if part.state != "ok":
        raise EvidenceUnavailable("doctor", part.found)
    assert "lists 2 servers" in part.found
    return SERVERS


User = Callable[[Deployment, Path], set[str]]
USERS: list[User] = [for_all_gates, for_h1, for_trials, for_the_record, for_doctor]


@pytest.mark.parametrize("user", USERS)
def test_a_dead_first_source_is_passed_over(user: User, tmp_path: Path) -> None:
    """Everyone who reads the proxy's state reads the second source."""
    with stats_server(tmp_path / "alive") as alive:
        assert user(described(f"unix://{tmp_path}/dead", alive.url), tmp_path) == SERVERS


@pytest.mark.parametrize("user", USERS)
def test_dead_sources_are_all_named(user: User, tmp_path: Path) -> None:
    """If no source answers, each is named with its reason."""
    with pytest.raises(EvidenceUnavailable) as caught:
        user(described(DEAD_PAGE, f"unix://{tmp_path}/dead"), tmp_path)
    assert f"unix://{tmp_path}/dead: No such file or directory" in str(caught.value)
    assert f"{DEAD_PAGE}: Connection refused" in str(caught.value)


def test_the_doctor_names_a_dead_source_beside_one_that_answers(tmp_path: Path) -> None:
    """A dead source is worth knowing although nothing depends on it."""
    with stats_server(tmp_path / "alive") as alive:
        parts = doctor.examine(described(f"unix://{tmp_path}/dead", alive.url))
        (found,) = (part.found for part in parts if part.name == "proxy stats")
    assert f"unix://{tmp_path}/dead: No such file or directory (not used" in found


def test_a_source_that_dies_is_replaced(tmp_path: Path) -> None:
    """Reading goes on at the next source, and stays there when the first is back."""
    with stats_server(tmp_path / "second") as second:
        with stats_server(tmp_path / "first") as first:
            (stats,) = proxy_stats(described(first.url, second.url))
            assert stats.where == first.url
        assert len(stats.show_stat()) == 3
        assert stats.where == second.url
        with stats_server(tmp_path / "first") as again:
            stats.show_stat()
            assert again.polled == 0


def test_a_source_that_dies_during_a_trial_is_replaced(tmp_path: Path) -> None:
    """The states of a trial go on to be polled at the next source."""
    with stats_server(tmp_path / "second") as second:
        with stats_server(tmp_path / "first") as first:
            context = Context(described(first.url, second.url), Settings())
            polling = fault_rig.StatePolling(context)
            polling.__enter__()
        second.rows = second.rows.replace("rest-1,UP", "rest-1,DOWN")
        until(lambda: polling.shows("rest", "rest-1", "DOWN"), 5)
        polling.__exit__(None, None, None)
    polling.check()


def test_a_trial_whose_last_source_dies_says_so(tmp_path: Path) -> None:
    """No state is taken for an unchanged one: the trial is judged by nothing."""
    with stats_server(tmp_path / "only") as only:
        polling = fault_rig.StatePolling(Context(described(only.url), Settings()))
        polling.__enter__()
    with pytest.raises(EvidenceUnavailable, match="No such file or directory"):
        until(lambda: polling.shows("rest", "rest-1", "DOWN"), 5)
    polling.__exit__(None, None, None)


def test_what_a_page_cannot_show_is_asked_of_a_socket(tmp_path: Path) -> None:
    """A socket that is alive again shows what the page does not; without one each source is named."""
    with stats_server(tmp_path / "s") as socket:
        (stats,) = proxy_stats(described(DEAD_PAGE, socket.url))
        assert (stats.shows_sessions, stats.show_info()) == (True, {"Maxconn": "4096"})
    stats = ProxyStats(described(DEAD_PAGE), Proxy(name="p", stats=(DEAD_PAGE, "http://127.0.0.1:9/other")))
    with pytest.raises(NotVisible, match=r"9/stats: a stats page .*9/other: a stats page"):
        stats.show_info()


def test_some_proxies_are_not_enough(tmp_path: Path) -> None:
    """If one of two proxies cannot be read, nothing is: its servers may be in another state."""
    with stats_server(tmp_path / "s") as socket:
        one = described(socket.url)
        both = one.model_copy(update={"proxy": (*one.proxy, Proxy(name="q", stats=(DEAD_PAGE,)))})
        assert [stats.name for stats in proxy_stats_if_visible(one)] == ["p"]
        assert proxy_stats_if_visible(both) == ()


def test_no_sources() -> None:
    """A deployment without a proxy, and a proxy without sources, are named."""
    with pytest.raises(EvidenceUnavailable, match=r"has no \[proxy\], which this gate needs"):
        proxy_stats(Deployment(name="d", rest=described().rest))
    with pytest.raises(EvidenceUnavailable, match="proxy 'p' names no stats"):
        proxy_stats(described())
