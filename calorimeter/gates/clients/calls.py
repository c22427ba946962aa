"""Calls to Heat as a client saw them, with the engine that the broker handed them to."""

from __future__ import annotations

from collections.abc import Collection

from calorimeter.core.toml import Model


class HeatCall(Model):
    """One request through the proxy. Times are ns since the epoch, `done_ns` that of the whole answer.

    `status` is 0 where no answer came, `error` then says what did. `said` is the beginning of the body of
    an error. `engine` is the consumer that its RPC call was delivered to (the last, if redelivered), None
    where no delivery was traced; `handed` are all that it was delivered to, in turn. `source` and
    `source_port` are the client's end of its connection; empty where it was not answered.
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
        """Whether it was answered with a success."""
        return 200 <= self.status < 300

    def was_with(self, engines: Collection[str]) -> bool:
        """Whether one of these consumers had it, if only until the broker handed it to another."""
        return self.engine in engines or any(name in engines for name in self.handed)

    @property
    def took_s(self) -> float:
        """Seconds from sending to the end of the answer, or of the wait for it."""
        return (self.done_ns - self.sent_ns) / 1e9

    def __str__(self) -> str:
        ended = f"{self.status} {self.said}".strip() if self.status else self.error
        where = f", delivered to {self.engine}" if self.engine else ""
        return f"{self.operation} {self.request_id or ''}: {ended} after {self.took_s:.1f} s{where}"
