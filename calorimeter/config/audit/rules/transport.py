"""A10: the broker that a Heat process is given can be read."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.model import Finding, Quote, Rule, Severity, rule
from calorimeter.config.audit.patches.changes import at_option, set_option
from calorimeter.config.audit.subject import AuditedFiles


@rule(
    "A10-transport-unreadable",
    Severity.ERROR,
    remedy="percent-encode what is special in the user and password of transport_url; a slash cannot be "
    "encoded: choose a password without one",
    quote=Quote(
        "All other characters in `user` and `pass` must be encoded via '%nn'",
        "oslo.messaging, TransportURL",
    ),
)
def transport_unreadable(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Heat can read the URL of its broker."""
    for conf in subject.heat:
        transport = conf.transport
        if not transport.fault or transport.value is None:
            continue
        correct = transport.correct
        yield rule.finding(
            at_option(conf, transport.value),
            conf.host,
            f"transport_url {transport.fault}",
            "no engine with this file starts, and no API with it can call one",
            [set_option(conf, "DEFAULT", "transport_url", correct)] if correct else (),
        )
