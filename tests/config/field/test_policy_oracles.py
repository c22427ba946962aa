"""What the policy rules know of Heat, oslo.messaging and HAProxy, compared with the programs."""

from __future__ import annotations

import itertools
import json
import subprocess
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from calorimeter.config import haproxy
from calorimeter.config.audit import HeatFiles, Inputs, Severity, audit
from calorimeter.config.audit.rules.check_answers import refusal
from calorimeter.config.audit.subject import build
from calorimeter.config.heat import api_answers
from tests.config.audit import clean
from tests.config.haproxy.running_haproxy import AnsweringServers, running
from tests.places import CLONE

HEAT = CLONE / ".venv-heat/bin/python"
PROGRAMS = CLONE / "tests/config/programs"
OPTIONS = (
    "rabbit_transient_quorum_queue",
    "rabbit_quorum_queue",
    "amqp_durable_queues",
    "rabbit_stream_fanout",
)
CHECKS = [
    (request, expect)
    for request in ("OPTIONS /", "GET /", "HEAD /", "GET /healthcheck", "HEAD /healthcheck", "GET /v1")
    for expect in ("", "status 200", "status 200-399", "! rstatus ^5", "rstatus (2|3|4)[0-9][0-9]")
]


def transient(**options: bool) -> Inputs:
    """A Heat process with options of oslo.messaging, at RabbitMQ 4.3."""
    text = "[oslo_messaging_rabbit]\n" + "".join(f"{key} = {value}\n" for key, value in options.items())
    return Inputs(heat=(HeatFiles("B", (("heat.conf", text),)),), rabbitmq_release=(4, 3))


def refused(inputs: Inputs) -> list[str]:
    """What the rule of transient queues says."""
    return [f.says for f in audit(inputs).faults if f.rule == "A4-transient-queues"]


def test_transient_queues_are_an_error_from_rabbitmq_4_3_on() -> None:
    """The clean deployment declares transient queues; other brokers, and unknown ones, accept them."""
    found = [
        f
        for f in audit(replace(clean.inputs(), rabbitmq_release=(4, 3))).faults
        if f.rule == "A4-transient-queues"
    ]
    assert {f.severity for f in found} == {Severity.ERROR}
    assert "engine and other topics, replies, fanout" in found[0].says
    for release in (None, (3, 13), (4, 2)):
        assert refused(replace(clean.inputs(), rabbitmq_release=release)) == []
    assert refused(transient(rabbit_quorum_queue=True, rabbit_transient_quorum_queue=True)) == []


@pytest.mark.slow
def test_transient_queues_are_those_that_oslo_messaging_declares() -> None:
    """For all values of the four options: the kinds of queues that oslo.messaging declares not durable."""
    done = subprocess.run(
        [HEAT, PROGRAMS / "oslo_queues.py", *OPTIONS], capture_output=True, text=True, check=True
    )
    rows = json.loads(done.stdout)
    for values, row in zip(itertools.product([False, True], repeat=len(OPTIONS)), rows, strict=True):
        kinds = ("engine and other topics", "replies", "fanout")
        names = ", ".join(kind for kind, durable in zip(kinds, row, strict=True) if not durable)
        said = refused(transient(**dict(zip(OPTIONS, values, strict=True))))
        assert [f"({names})" in says for says in said] == ([True] if names else []), values


@pytest.mark.slow
def test_answers_are_those_of_heat(tmp_path: Path) -> None:
    """Both APIs of the installed Heat, as their api-paste.ini builds them, answer as the table says."""
    file = tmp_path / "heat.conf"
    text = clean.heat("10.0.0.2")
    file.write_text(text.replace("[ec2authtoken]\n", "[ec2authtoken]\nauth_url = http://10.0.0.1:5000\n"))
    program = [HEAT, PROGRAMS / "heat_answers.py", file]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert len(answers) == 2 * 3 * 7, done.stderr
    for api, method, path, status in answers:
        assert api_answers.status(api, method, path, 24) == status, (api, method, path)


@pytest.mark.slow
def test_a_refused_check_is_down_in_haproxy(tmp_path: Path) -> None:
    """HAProxy, asked about servers that answer as Heat does: DOWN where the audit says so, else UP."""
    with ExitStack() as stack:
        statuses = [api_answers.status("rest", *request.split(), 24) or 0 for request, _ in CHECKS]
        servers = AnsweringServers(statuses, stack)
        text = "defaults\n timeout connect 1s\n timeout check 1s\n timeout server 1s\n"
        for port, (request, expect) in zip(servers.ports, CHECKS, strict=True):
            text += f"backend b{port}\n option httpchk {request}\n"
            text += f" http-check expect {expect}\n" if expect else ""
            text += f" server s 127.0.0.1:{port} check inter 100ms fall 1 rise 1\n"
        subject = build(Inputs(heat_release=24))
        said = {
            each.name: refusal(subject, "rest", each) is not None
            for each in haproxy.resolve(haproxy.parse([("f", text)], {})).proxies
        }
        with running(text, tmp_path) as program:
            time.sleep(0.5)
            stat = program.stat()
    assert {name: stat[name, "s"]["status"] == "DOWN" for name in said} == said
    assert set(said.values()) == {True, False}
