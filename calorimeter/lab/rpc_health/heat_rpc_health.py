"""A healthcheck plugin for heat-api and heat-api-cfn: healthy only while an engine answers an RPC ping.

With `[healthcheck] backends = disable_by_file,rpc_ping` in heat.conf, `/healthcheck` answers 503 when no
engine answers within `[healthcheck] rpc_ping_timeout` seconds. Engines answer if `[DEFAULT]
rpc_ping_enabled` is true. The price: an outage of RabbitMQ takes all APIs out of service at once.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future

import oslo_messaging
from heat.common import messaging
from oslo_config import cfg
from oslo_middleware.healthcheck import pluginbase

OPTIONS = [
    cfg.FloatOpt("rpc_ping_timeout", default=1.0, help="Time limit for an engine's answer, in seconds.")
]


class RpcPing(pluginbase.HealthcheckBaseExtension):  # type: ignore[misc]
    """Pings any engine over the API's own connections to RabbitMQ.

    Without a broker to connect to, a ping does not end at its own time limit. So it has a thread of its
    own, and there is one at a time: else health checks would hold all threads of a WSGI server.
    """

    def __init__(self, oslo_conf: cfg.ConfigOpts, conf: dict[str, str]) -> None:
        super().__init__(oslo_conf, conf)
        self.oslo_conf.register_opts(OPTIONS, group="healthcheck")
        self._lock = threading.Lock()
        self._ping: Future[None] | None = None

    def healthcheck(self, server_port: int) -> pluginbase.HealthcheckResult:
        """Healthy if an engine answers in time."""
        timeout = self._conf_get("rpc_ping_timeout")
        with self._lock:
            if self._ping is None or self._ping.done():
                self._ping = Future()
                threading.Thread(target=_ping, args=(self._ping, timeout), daemon=True).start()
            ping = self._ping
        try:
            ping.result(timeout)
        except Exception as problem:
            return pluginbase.HealthcheckResult(False, f"NO RPC: {type(problem).__name__}")
        return pluginbase.HealthcheckResult(True, "RPC OK")


def _ping(result: Future[None], timeout_s: float) -> None:
    """Ping any engine, and set the result to its answer or its failure."""
    try:
        target = oslo_messaging.Target(topic="engine", version="1.0")
        client = oslo_messaging.get_rpc_client(messaging.TRANSPORT, target)
        client.prepare(timeout=timeout_s, retry=0).call({}, "oslo_rpc_server_ping")
    except Exception as problem:
        result.set_exception(problem)
    else:
        result.set_result(None)
