"""Gates V: several proxies that share a virtual address."""

from __future__ import annotations

from calorimeter.core.deployment import Consent
from calorimeter.gates.context import Context
from calorimeter.gates.judge import Judge
from calorimeter.gates.pair import pair_faults
from calorimeter.gates.pair.address_return import address_returns_as_configured
from calorimeter.gates.pair.pair_faults import takeovers
from calorimeter.gates.pair.pair_visits import pair_mappings
from calorimeter.gates.pair.same_backend import same_backend_on_either_proxy
from calorimeter.gates.pair.takeover import address_moves_in_time
from calorimeter.gates.registry import Break, gate

FINDS_THE_PROXY = "when it makes a call to any API, it will find the proxy, acting on their behalf"

NEEDS = ("rest", "proxy stats", "fault commands")

DIES = tuple(Break(fault, "every", (kind,), of_proxy=True, fewest=2) for kind, fault in pair_faults.DIES)


@gate("V1", guide=FINDS_THE_PROXY, needs=NEEDS, consent=Consent.INVASIVE, breaks=DIES)
def test_address_moves_in_time(context: Context, judge: Judge) -> None:
    """The virtual address moves within its bound when the proxy that has it dies.

    Its process, its host and its link die in turn, as far as the owner gave commands, while clients send
    requests. The bound follows from the VRRP settings.
    """
    judge(takeovers(context), address_moves_in_time, name="takeovers")


@gate("V2", guide=FINDS_THE_PROXY, needs=NEEDS, consent=Consent.INVASIVE, breaks=DIES)
def test_address_returns_as_configured(context: Context, judge: Judge) -> None:
    """The virtual address returns or stays as configured, and only to a proxy that can serve.

    Judged from the same trials as V1: each fault is healed, and clients go on.
    """
    judge(takeovers(context), address_returns_as_configured, name="takeovers")


@gate(
    "V3",
    guide="balance  source",
    needs=(*NEEDS, "proxy log"),
    consent=Consent.INVASIVE,
    breaks=(
        Break("stop", "every", ("keepalived",), of_proxy=True, fewest=2),
        Break("stop", "every", ("proxy",), of_proxy=True, fewest=2),
    ),
)
def test_same_backend_on_either_proxy(context: Context, judge: Judge) -> None:
    """A source has the same backend, whichever proxy serves it.

    Many sources visit through the proxy that has the virtual address, the address is moved, and they visit
    through the other one. The prediction uses the servers that each proxy shows.
    """
    judge(pair_mappings(context), same_backend_on_either_proxy)
