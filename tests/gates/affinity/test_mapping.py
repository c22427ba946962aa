"""Golden evidence for S3 and S4."""

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calorimeter.core.source_hash import HashServer
from calorimeter.core.statistics.binomial import binomial_bounds, unseen_deviation
from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.affinity.mapping import mapping_is_the_predicted_one
from calorimeter.gates.affinity.spreading import sources_spread_as_predicted
from calorimeter.gates.clients.visits import AllVisits, ExpectedBalance, LogCount, Visit, Visits
from calorimeter.gates.evidence.placement import ServerAt

SERVERS = (HashServer("a", 1), HashServer("b", 2), HashServer("c", 3))

GROWING = (*SERVERS[:2], HashServer("c", 3, throttled=True))
GROWING_RING: dict[str, object] = {
    "described": ExpectedBalance(hash_type="consistent"),
    "before": GROWING,
    "after": GROWING,
}
"""A ring that cannot be computed: c is in slowstart."""

# Of three equal servers, 127.0.0.10 to .15 went to c, a, b, c, a, b in the order of the file.
MEASURED = {f"127.0.0.{10 + n}": "cab"[n % 3] for n in range(6)}


def evidence(places: dict[str, str], **changes: object) -> AllVisits:
    """Two visits of each source to its server."""
    visits = tuple(
        Visit(source=s, port=n, sent_ns=0, done_ns=1, status=300, server=server)
        for n in (1, 2)
        for s, server in places.items()
    )
    count = LogCount(
        source="udp", lines=len(visits), logged=len(visits), connections=len(visits), dropped=0
    )
    fields: dict[str, object] = {
        "api": "rest",
        "section": "rest_api_proxy",
        "servers": ("a", "b", "c"),
        "visits": visits,
        "logs": (count,),
        "before": SERVERS,
        "after": SERVERS,
    }
    return AllVisits(apis=(Visits.model_validate(fields | changes),))


def many() -> dict[str, str]:
    """300 sources where the map-based hash of three equal servers puts them."""
    return {
        f"10.0.{n // 250}.{n % 250}": "abc"[((10 << 24) + (n // 250 << 8) + n % 250) % 3]
        for n in range(300)
    }


def mapping(places: dict[str, str], **changes: object) -> Judgement:
    """The judgement of S3."""
    return mapping_is_the_predicted_one(evidence(places, **changes))


def test_measured_mapping_passes() -> None:
    """What the real HAProxy did with six addresses is what is predicted."""
    judgement = mapping(MEASURED)
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["rest_sources_predicted"] == 6
    assert "the proxy's log" in judgement.why


def test_one_source_elsewhere_fails_and_is_named() -> None:
    """One source on another backend than predicted is the counter-example."""
    judgement = mapping(MEASURED | {"127.0.0.11": "b"})
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == ("REST 127.0.0.11: b 2 times, predicted a",)


def test_other_weight_in_the_proxy_is_the_first_counter_example() -> None:
    """A weight that differs from the described one explains the counter-examples."""
    heavier = (HashServer("a", 1, weight=3), *SERVERS[1:])
    judgement = mapping(MEASURED | {"127.0.0.10": "a"}, before=heavier, after=heavier)
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples[0] == "REST a has weight 3 in the proxy, 1 is described"


def test_server_missing_from_the_proxy_is_a_counter_example() -> None:
    """A described server that the proxy does not have explains the counter-examples."""
    judgement = mapping({"127.0.0.10": "a"}, before=SERVERS[:2], after=SERVERS[:2])
    assert judgement.outcome is Outcome.FAIL
    assert "c is described, but is not in the proxy's section" in judgement.counter_examples[0]


def test_server_down_is_part_of_the_prediction() -> None:
    """With a server down the prediction is the map of the others."""
    down = (SERVERS[0], HashServer("b", 2, up=False), SERVERS[2])
    places = {f"127.0.0.{n}": "ac"[((127 << 24) + n) % 2] for n in range(10, 20)}
    assert mapping(places, before=down, after=down).outcome is Outcome.PASS


def test_state_that_changed_during_the_visits_is_inconclusive() -> None:
    """If a server went down between two visits, no single map holds."""
    down = (SERVERS[0], HashServer("b", 2, up=False), SERVERS[2])
    assert mapping(MEASURED, after=down).outcome is Outcome.INCONCLUSIVE


def test_unpredictable_configuration_falls_back_to_observation() -> None:
    """What cannot be predicted is observed, and the verdict says so."""
    judgement = mapping(MEASURED, **GROWING_RING)
    assert judgement.outcome is Outcome.PASS
    assert "cannot be predicted" in judgement.why
    assert judgement.figures["rest_missed_rate_95"] == 0.393038  # six sources: 1 - 0.05^(1/6)
    torn = AllVisits(apis=(evidence(MEASURED, **GROWING_RING).apis[0].model_copy(
        update={"visits": (*evidence(MEASURED).apis[0].visits,
                           *evidence({"127.0.0.10": "a"}).apis[0].visits)}
    ),))  # fmt: skip
    assert mapping_is_the_predicted_one(torn).outcome is Outcome.FAIL


@pytest.mark.parametrize("ring", [False, True])
def test_mapping_of_sources_to_one_backend_is_inconclusive(ring: bool) -> None:
    """As in S1: if all sources go to one backend, any rule may have sent them there."""
    judgement = mapping({"127.0.0.10": "c", "127.0.0.13": "c"}, **(GROWING_RING if ring else {}))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why.endswith("all 2 sources landed on c: any rule may have sent them there (see S8)")


def test_missing_lines_of_others_are_said() -> None:
    """All visits were found, so a line that is missing was of somebody else's connection."""
    short = LogCount(source="udp", lines=12, logged=12, connections=13, dropped=0)
    judgement = mapping(MEASURED, logs=(short,))
    assert judgement.outcome is Outcome.PASS
    assert (
        "; all 12 answered visits were found, but the log holds 12 of the 13 connections" in judgement.why
    )


def test_servers_that_the_proxy_does_not_show_are_assumed() -> None:
    """Without the proxy's state the described order is assumed, and the verdict says so."""
    judgement = mapping(MEASURED, before=None, after=None)
    assert judgement.outcome is Outcome.PASS
    assert "assuming the described order of servers" in judgement.why


def test_address_as_the_proxy_sees_it_is_hashed() -> None:
    """An IPv4 client on an IPv6 socket is hashed as the mapped address."""
    one = evidence({"127.0.0.10": "x"}).apis[0]
    visits = tuple(v.model_copy(update={"seen_as": "::ffff:127.0.0.10"}) for v in one.visits)
    judgement = mapping_is_the_predicted_one(AllVisits(apis=(one.model_copy(update={"visits": visits}),)))
    value = 0xFFFF ^ ((127 << 24) + 10)
    assert judgement.counter_examples[0].endswith(f"predicted {'abc'[value % 3]}")


BACKENDS = {name: (f"10.1.0.{n}:8004",) for n, name in enumerate("abc", start=1)}


def placed(**hosts: str) -> dict[str, object]:
    """The described backends, and where the proxy has its servers (`a="b"`: at the address of b)."""
    return {
        "backends": BACKENDS,
        "placed": tuple(
            ServerAt(
                proxy="unix:///p", server=name, address=BACKENDS[whose][0] if whose in BACKENDS else whose
            )
            for name, whose in ({"a": "a", "b": "b", "c": "c"} | hosts).items()
        ),
    }


def test_servers_that_are_other_backends_than_described_fail() -> None:
    """Sources are on the right names, and the proxy's a is b, and its b a."""
    assert mapping(MEASURED, **placed()).outcome is Outcome.PASS
    judgement = mapping(MEASURED, **placed(a="b", b="a"))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == (
        "REST a is at 10.1.0.2:8004 in the proxy, 10.1.0.1:8004 is described: that is b",
        "REST b is at 10.1.0.1:8004 in the proxy, 10.1.0.2:8004 is described: that is a",
    )


def test_servers_at_an_unknown_address_are_inconclusive() -> None:
    """Nothing shows whether it is the described process at another of its addresses (S3 and S4)."""
    unknown = placed(a="192.0.2.1:8004")
    for judgement in (
        mapping(MEASURED, **unknown),
        sources_spread_as_predicted(evidence(many(), **unknown)),
    ):
        assert judgement.outcome is Outcome.INCONCLUSIVE
        assert "a is at 192.0.2.1:8004 in the proxy, 10.1.0.1:8004 is described" in judgement.why
    wrong = mapping(MEASURED | {"127.0.0.11": "b"}, **unknown)
    assert wrong.outcome is Outcome.FAIL
    assert wrong.counter_examples[0].startswith("REST a is at 192.0.2.1:8004")


def test_proxies_that_disagree_on_a_server_are_inconclusive() -> None:
    """One name means two backends: it is not known where a source was."""
    two = (*placed()["placed"], ServerAt(proxy="unix:///q", server="a", address=BACKENDS["b"][0]))  # type: ignore[misc]
    judgement = sources_spread_as_predicted(evidence(many(), backends=BACKENDS, placed=two))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "the proxies do not agree on server a" in judgement.why


def test_two_servers_at_one_backend_are_spread_over_one_less() -> None:
    """With the proxy's b at the address of a, that backend has two thirds, and b none."""
    judgement = sources_spread_as_predicted(evidence(many(), **placed(b="a")))
    assert judgement.outcome is Outcome.FAIL
    assert (judgement.figures["rest_sources_a"], judgement.figures["rest_sources_b"]) == (200, 0)
    assert "that is a" in judgement.counter_examples[0]


def test_weight_that_was_changed_at_run_time_is_named_with_that_of_the_file() -> None:
    """It was changed by `set weight`: a reload would undo that."""
    heavier = (HashServer("a", 1, weight=3), *SERVERS[1:])
    since = (ServerAt(proxy="p", server="a", address="10.1.0.1:8004", file_weight=1),)
    judgement = mapping(MEASURED | {"127.0.0.10": "a"}, before=heavier, after=heavier, placed=since)
    assert (
        judgement.counter_examples[0]
        == "REST a has weight 3 in the proxy (its file says 1), 1 is described"
    )


def test_spread_as_predicted_passes_with_the_skew_to_expect() -> None:
    """Sources that are where the hash puts them are spread as it spreads them."""
    judgement = sources_spread_as_predicted(evidence(many()))
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["rest_sources_a"] == judgement.figures["rest_predicted_a"]
    assert judgement.figures["rest_missed_rate_95"] == 0.149064
    assert "14.91% of all sources more or fewer would have been detected" in judgement.why
    skew = [judgement.figures[f"rest_skew_of_{n}_clients"] for n in (10, 100, 1000)]
    assert skew == sorted(skew, reverse=True)  # type: ignore[type-var]


def test_too_few_sources_show_no_spread() -> None:
    """A backend may have none of six by chance: (2/3)^22 is less than 0.001/3/2, (2/3)^21 is not."""
    judgement = sources_spread_as_predicted(evidence(MEASURED))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why == (
        "REST: 6 sources are too few: chance alone may leave a, b, c without any (about 22 would do, "
        "see S8)"
    )
    assert sources_spread_as_predicted(evidence(dict([*many().items()][:21]))).outcome is (
        Outcome.INCONCLUSIVE
    )
    assert sources_spread_as_predicted(evidence(dict([*many().items()][:24]))).outcome is Outcome.PASS
    one = sources_spread_as_predicted(evidence({"127.0.0.10": "c"}))
    assert one.outcome is Outcome.INCONCLUSIVE
    assert one.why == (
        "REST: none of these 1 sources is predicted for a, b: whether others get there cannot be "
        "determined (see S8)"
    )


def test_hash_that_cannot_be_predicted_gives_no_shares_by_weight() -> None:
    """A ring's shares are not its weights: of three equal servers one may have a quarter more."""
    places = {source: "aaabbc"[n % 6] for n, source in enumerate(many())}
    judgement = sources_spread_as_predicted(evidence(places, **GROWING_RING))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "no share can be predicted: c is in slowstart" in judgement.why


def test_server_with_too_many_sources_fails() -> None:
    """A backend with half of all sources, a third predicted, refutes it."""
    places = {source: "a" if n % 2 else "bc"[n % 4 // 2] for n, source in enumerate(many())}
    judgement = sources_spread_as_predicted(evidence(places))
    assert judgement.outcome is Outcome.FAIL
    assert any(example.startswith("REST a has 150 sources") for example in judgement.counter_examples)


def test_server_without_sources_fails() -> None:
    """A described backend without any source is named."""
    places = {source: "ab"[n % 2] for n, source in enumerate(many())}
    judgement = sources_spread_as_predicted(evidence(places, before=SERVERS[:2], after=SERVERS[:2]))
    assert judgement.outcome is Outcome.FAIL
    assert any("c has 0 sources" in example for example in judgement.counter_examples)


def test_sources_on_several_backends_cannot_be_counted() -> None:
    """Each may count for any of its backends: only what is wrong for all choices is refuted."""
    places = many()
    once = evidence(places).apis[0]
    elsewhere = evidence(places | {"10.0.0.1": "a", "10.0.0.2": "b"}).apis[0]

    def judged(*visits: Visit) -> Judgement:
        return sources_spread_as_predicted(AllVisits(apis=(once.model_copy(update={"visits": visits}),)))

    judgement = judged(*once.visits, *elsewhere.visits)
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why.startswith("REST: 2 of 300 sources were on more than one REST backend"), judgement
    heavy = evidence(dict.fromkeys(places, "a")).apis[0].visits
    judgement = judged(*heavy, heavy[0].model_copy(update={"server": "b"}))
    assert judgement.outcome is Outcome.FAIL
    assert "a has 299 to 300 sources" in judgement.counter_examples[0]


def test_no_visits_are_inconclusive() -> None:
    """No data proves no spread."""
    assert sources_spread_as_predicted(evidence({})).outcome is Outcome.INCONCLUSIVE
    assert sources_spread_as_predicted(AllVisits(apis=())).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("trials", "share", "low", "high", "deviation"),
    [
        (10, 0.1, 0, 2, 0.4069),  # Clopper and Pearson's upper bound for 2 of 10 is 0.5069
        (10, 0.9, 8, 10, 0.4069),
        (100, 0.0, 0, 0, 0.0295),  # the rule of three: 1 - 0.05^(1/100)
        (100, 1.0, 100, 100, 0.0295),
        (10, 0.5, 0, 6, 0.5),  # none at all would pass
    ],
)
def test_unseen_deviation(trials: int, share: float, low: int, high: int, deviation: float) -> None:
    """A deviation beyond it lies outside the bounds with 95 % probability."""
    assert round(unseen_deviation(trials, share, low, high), 4) == deviation


@given(st.integers(1, 60), st.floats(0.02, 0.98), st.floats(0.001, 0.2))
def test_binomial_bounds_leave_out_no_more_than_asked(trials: int, share: float, outside: float) -> None:
    """The mass beyond each bound is at most half of what may be left out; one step further exceeds it."""

    def mass(counts: range) -> float:
        return sum(comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in counts)

    low, high = binomial_bounds(trials, share, outside)
    assert mass(range(low)) <= outside / 2 + 1e-9
    assert mass(range(low + 1)) > outside / 2 - 1e-9
    assert mass(range(high + 1, trials + 1)) <= outside / 2 + 1e-9
    assert mass(range(high, trials + 1)) > outside / 2 - 1e-9
