"""What `haproxy -c` says of the files, as findings: the program has the last word."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from calorimeter.config.audit.model import Finding, Quote, Severity
from calorimeter.config.haproxy import program

_QUOTE = Quote("haproxy -c -f FILE", "HAProxy, the program's own check")


def findings(paths: Sequence[Path]) -> tuple[Finding, ...]:
    """A finding for each thing that HAProxy says; none where there is no program or no file."""
    if not paths:
        return ()
    return tuple(
        Finding(
            id="A2-haproxy-refuses" if message.fatal else "A2-haproxy-warns",
            severity=Severity.ERROR if message.fatal else Severity.WARNING,
            file=message.file,
            line=max(1, message.line),
            says=message.text,
            follows="HAProxy does not start" if message.fatal else "HAProxy starts, and warns",
            remedy="ask haproxy -c until it is content",
            diff="",
            quote=_QUOTE,
        )
        for message in program.messages(paths) or ()
    )
