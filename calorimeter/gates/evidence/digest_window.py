"""Counters of a database's statements at one moment, and what two moments differ by: a window."""

from __future__ import annotations

from calorimeter.core.toml import Model


class DigestCount(Model):
    """What statements of one class did, since the server's start or within a window.

    `rows_examined`, `rows_sent` and `errors` are their sums. `lock_ns` is the time that they waited for
    table locks, without InnoDB's row locks, which are counted for the whole server only.
    """

    digest: str
    text: str
    count: int
    rows_examined: int
    rows_sent: int
    lock_ns: int
    errors: int


class ServerCounters(Model):
    """Counters of the whole server, all databases together.

    `row_lock_waits` and `row_lock_ms` are those of InnoDB since its start, or within a window; `deadlocks`
    is None if the server does not count them (MySQL). `threads_connected` is the number of connections at
    that moment.
    """

    row_lock_waits: int
    row_lock_ms: int
    deadlocks: int | None
    threads_connected: int
    max_connections: int
    uptime_s: int


class DigestReading(Model):
    """The digests of one database at one moment (`at_ns`, ns since the epoch).

    `overflow` counts the statements, of all databases, for which the server had no room for a class.
    """

    at_ns: int
    digests: tuple[DigestCount, ...]
    overflow: int
    server: ServerCounters


class DigestWindow(Model):
    """What was counted between two readings. Only classes with statements are in `digests`, by digest.

    `incomplete` says why it need not be all; None if it is. `server` has the connections of its end.
    """

    begin_ns: int
    end_ns: int
    digests: tuple[DigestCount, ...]
    server: ServerCounters
    incomplete: str | None = None

    @property
    def took_s(self) -> float:
        """The length of the window in seconds."""
        return (self.end_ns - self.begin_ns) / 1e9


def window(before: DigestReading, after: DigestReading) -> DigestWindow:
    """The differences of two readings of one database."""
    earlier = {each.digest: each for each in before.digests}
    counted = [_difference(each, earlier.get(each.digest)) for each in after.digests]
    now, then = after.server, before.server
    return DigestWindow(
        begin_ns=before.at_ns,
        end_ns=after.at_ns,
        digests=tuple(sorted((c for c in counted if c.count > 0), key=lambda c: c.digest)),
        server=now.model_copy(
            update={
                "row_lock_waits": max(0, now.row_lock_waits - then.row_lock_waits),
                "row_lock_ms": max(0, now.row_lock_ms - then.row_lock_ms),
                "deadlocks": _grown(now.deadlocks, then.deadlocks),
            }
        ),
        incomplete=_why_incomplete(before, after),
    )


def _difference(now: DigestCount, then: DigestCount | None) -> DigestCount:
    if then is None:
        return now
    fields = ("count", "rows_examined", "rows_sent", "lock_ns", "errors")
    return now.model_copy(update={name: getattr(now, name) - getattr(then, name) for name in fields})


def _grown(now: int | None, then: int | None) -> int | None:
    return None if now is None or then is None else max(0, now - then)


def _why_incomplete(before: DigestReading, after: DigestReading) -> str | None:
    if after.server.uptime_s < before.server.uptime_s:
        return "the server was restarted meanwhile"
    counts = {each.digest: each.count for each in after.digests}
    if any(counts.get(each.digest, -1) < each.count for each in before.digests):
        return "its digests were emptied meanwhile"
    if more := after.overflow - before.overflow:
        return f"{more} statements had no room (performance_schema_digests_size)"
    return None
