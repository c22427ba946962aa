"""Calls to Heat as their client recorded them, with the engine that the broker delivered each to."""

from __future__ import annotations

from collections.abc import Collection

from calorimeter.core.toml import Model


class HeatCall(Model):
    """One request through the proxy. Times are ns since the epoch; `done_ns` is the end of the whole
    answer.

    `status` is 0 without an answer; `error` then names the exception. `said` is the beginning of an
    error's body. `engine` is the consumer that the call's RPC was delivered to (the last one if it was
    redelivered), None if no delivery was traced; `handed` lists all of them in order. `source` and
    `source_port` are the client's end of the connection, empty and 0 without an answer.
    """

    operation: str
    request_id: str | None
    sent_ns: int
    done_ns: int
    status: int
    error: str = ""
    said: str = ""
    engine: str | None = None
    handed: tuple[str, ...] = ()
    api: str = "rest"
    source: str = ""
    source_port: int = 0

    @property
    def ok(self) -> bool:
        """Whether the answer was a success (2xx)."""
        return 200 <= self.status < 300

    def was_with(self, engines: Collection[str]) -> bool:
        """Whether the call was ever delivered to one of these consumers."""
        return self.engine in engines or any(name in engines for name in self.handed)

    @property
    def took_s(self) -> float:
        """Seconds from sending to the end of the answer, or to the client's timeout."""
        return (self.done_ns - self.sent_ns) / 1e9

    def __str__(self) -> str:
        ended = f"{self.status} {self.said}".strip() if self.status else self.error
        where = f", delivered to {self.engine}" if self.engine else ""
        return f"{self.operation} {self.request_id or ''}: {ended} after {self.took_s:.1f} s{where}"
