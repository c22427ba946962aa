"""Gates A: the files that the deployment is configured with (docs/reference/audit.md explains each rule)."""

from __future__ import annotations

from calorimeter.config.audit.judgement import BY_ID, judged
from calorimeter.gates.audit.audited_files import audited
from calorimeter.gates.context import Context
from calorimeter.gates.judge import Judge
from calorimeter.gates.registry import gate

PROXY = ("proxy files",)
HEAT = ("heat files",)


def _judge(context: Context, judge: Judge, gate_id: str) -> None:
    evidence = audited(context)
    judge(evidence, judged(gate_id), name="audit", waived=evidence.waived(gate_id))


@gate("A1", guide=BY_ID["A1"].guide, needs=HEAT)
def test_every_api_has_an_address_of_its_own(context: Context, judge: Judge) -> None:
    """Every API process has an address of its own."""
    _judge(context, judge, "A1")


@gate("A2", guide=BY_ID["A2"].guide, needs=PROXY)
def test_the_proxy_is_where_clients_look(context: Context, judge: Judge) -> None:
    """The proxy is where clients look, and its servers are the APIs.

    Where the `haproxy` program is there, it is asked too whether it accepts the files.
    """
    _judge(context, judge, "A2")


@gate("A3", guide=BY_ID["A3"].guide, needs=HEAT)
def test_no_machine_looks_on_itself_for_anothers_service(context: Context, judge: Judge) -> None:
    """No machine looks for another machine's service on itself."""
    _judge(context, judge, "A3")


@gate("A4", guide=BY_ID["A4"].guide, needs=HEAT)
def test_all_engines_and_apis_are_one_heat(context: Context, judge: Judge) -> None:
    """All engines and APIs use one broker, one database and one key."""
    _judge(context, judge, "A4")


@gate("A5", guide=BY_ID["A5"].guide, needs=PROXY)
def test_the_proxy_is_told_to_keep_sources(context: Context, judge: Judge) -> None:
    """The proxy keeps each source on one API.

    As its file says; gates S show whether it does.
    """
    _judge(context, judge, "A5")


@gate("A6", guide=BY_ID["A6"].guide, needs=PROXY)
def test_the_proxy_is_told_to_check(context: Context, judge: Judge) -> None:
    """The proxy checks the health of every API.

    As its file says; gates H show whether it does, and how soon.
    """
    _judge(context, judge, "A6")


@gate("A7", guide=BY_ID["A7"].guide, needs=PROXY)
def test_retries_can_reach_another_server(context: Context, judge: Judge) -> None:
    """Keep-alive is on, and retries can reach another server.

    As its file says; gates P6 and P7 show whether it is so.
    """
    _judge(context, judge, "A7")


@gate("A8", guide=BY_ID["A8"].guide, needs=PROXY)
def test_limits_and_times_fit(context: Context, judge: Judge) -> None:
    """Limits and times of proxy and Heat fit one another."""
    _judge(context, judge, "A8")


@gate("A9", guide=BY_ID["A9"].guide, needs=PROXY)
def test_what_the_proxy_does_can_be_seen(context: Context, judge: Judge) -> None:
    """What the proxy does can be seen."""
    _judge(context, judge, "A9")


@gate("A10", guide=BY_ID["A10"].guide, needs=HEAT)
def test_every_option_is_read(context: Context, judge: Judge) -> None:
    """Every option is one that Heat reads."""
    _judge(context, judge, "A10")


@gate("A11", guide=BY_ID["A11"].guide, needs=HEAT)
def test_numbers_fit(context: Context, judge: Judge) -> None:
    """Engines, database and broker fit one another in number."""
    _judge(context, judge, "A11")


@gate("A12", guide=BY_ID["A12"].guide, needs=HEAT)
def test_cfn_has_its_credentials(context: Context, judge: Judge) -> None:
    """The CFN API has the credentials that it needs."""
    _judge(context, judge, "A12")
