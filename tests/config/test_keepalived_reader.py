"""What is read from a keepalived.conf."""

from __future__ import annotations

import pytest

from calorimeter.config import keepalived_reader, keepalived_writer
from calorimeter.config.keepalived_writer import KeepalivedConfig
from calorimeter.core.errors import InputError
from calorimeter.core.vrrp import Vrrp

OWN = KeepalivedConfig("a", "eth0", "10.0.0.1", ("10.0.0.2",), "10.0.0.9/32", 102, advertised_every_s=0.2)

FOREIGN = """
! of a distribution
vrrp_script chk_other { script "/bin/true" }
vrrp_script chk_haproxy {           # the one that is tracked
    script "/usr/bin/pgrep 'haproxy {'"
    interval 2
    weight -20
}
vrrp_instance VI_1 {
    state MASTER
    interface eth0
    virtual_router_id 51
    priority 150
    advert_int 1
    authentication {
        auth_type PASS
        auth_pass "x } y"
    }
    virtual_ipaddress { 10.0.0.9 }
    preempt_delay 300
    track_script { chk_haproxy weight 5 }
}
vrrp_instance VI_2 { priority 50
}
"""


def test_what_the_suite_writes_is_read_again() -> None:
    """All settings on which the bounds depend."""
    read = keepalived_reader.read(keepalived_writer.render(OWN))
    assert read == Vrrp(
        priority=102, advert_s=0.2, preempt=False, check_interval_s=1.0, check_timeout_s=2.0,
        check_fall=2, check_rise=2,
    )  # fmt: skip


def test_a_foreign_file_is_read() -> None:
    """Comments, quotes, blocks on one line; what is not said has keepalived's default."""
    assert keepalived_reader.read(FOREIGN, instance="VI_1") == Vrrp(
        priority=150, preempt_delay_s=300.0, check_interval_s=2.0, check_weight=5
    )
    alone = FOREIGN.replace("chk_haproxy weight 5", "chk_haproxy")
    assert keepalived_reader.read(alone, instance="VI_1").check_weight == -20
    assert keepalived_reader.read(FOREIGN, instance="VI_2") == Vrrp(priority=50)


@pytest.mark.parametrize(
    ("text", "instance", "said"),
    [
        ("", None, "has no vrrp_instance"),
        (FOREIGN, None, "has several vrrp_instance; valid: one of VI_1, VI_2"),
        (FOREIGN, "VI_3", "unknown vrrp_instance 'VI_3'; valid: VI_1, VI_2"),
        ("vrrp_instance a {", None, "the block 'vrrp_instance a' does not end"),
        ("}", None, "keepalived.conf:1: an unexpected '}'"),
        ("{", None, "keepalived.conf:1: an unexpected '{'"),
        ("vrrp_instance a {\npriority many\n}", None, "priority: 'many' given; valid: a number"),
        (
            "vrrp_instance a {\npriority 300\n}",
            None,
            "priority: 300 given; valid: a whole number from 1 to 255",
        ),
        ("a {" * 30, None, "an unexpected '{'"),
    ],
)
def test_what_cannot_be_read_is_one_line(text: str, instance: str | None, said: str) -> None:
    """Where, what was given, what is valid."""
    with pytest.raises(InputError) as problem:
        keepalived_reader.read(text, instance=instance)
    assert said in str(problem.value)
