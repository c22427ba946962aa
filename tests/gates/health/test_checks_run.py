"""Golden evidence for H1."""

from calorimeter.core.verdict import Outcome
from calorimeter.gates.health.checks_run import CheckState, ProxyStates, checks_really_run


def evidence(*states: CheckState) -> ProxyStates:
    """States of a proxy of two servers."""
    return ProxyStates(source="socket", described={"rest": ("a", "b")}, states=states)


def state(server: str, status: str = "UP", check: str = "L7OK") -> CheckState:
    """One server's state."""
    return CheckState(section="rest", server=server, status=status, check_status=check, check_duration_ms=1)


def test_checked_servers_pass() -> None:
    """Servers with a completed check pass, whether they are up or down."""
    judgement = checks_really_run(evidence(state("a"), state("b", "DOWN", "L4CON")))
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["checked"] == 2


def test_the_guides_file_fails_in_one_sentence() -> None:
    """Servers that show `no check` refute it, and the sentence says what to change."""
    judgement = checks_really_run(evidence(state("a", "no check", ""), state("b", "no check", "")))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.why.startswith("the proxy does not check any of its servers")
    assert judgement.counter_examples == ("rest/a: 'no check'", "rest/b: 'no check'")


def test_server_missing_from_the_proxy_fails() -> None:
    """A described server that the proxy does not have is not checked."""
    judgement = checks_really_run(evidence(state("a")))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == ("rest/b",)


def test_first_check_still_to_come_is_inconclusive() -> None:
    """A check that has not completed proves nothing yet."""
    assert checks_really_run(evidence(state("a"), state("b", "UP", "INI"))).outcome is Outcome.INCONCLUSIVE


def test_empty_state_is_inconclusive() -> None:
    """No data is INCONCLUSIVE."""
    assert checks_really_run(evidence()).outcome is Outcome.INCONCLUSIVE
