"""A healthcheck plugin for heat-api and heat-api-cfn: healthy only while an engine answers an RPC ping.

With `[healthcheck] backends = disable_by_file,rpc_ping` in heat.conf, `/healthcheck` answers 503 when no
engine answers within `[healthcheck] rpc_ping_timeout` seconds. Engines answer if `[DEFAULT]
rpc_ping_enabled` is true. The price: an outage of RabbitMQ takes all APIs out of service at once.
"""

from __future__ import annotations

import oslo_messaging
from heat.common import messaging
from oslo_config import cfg
from oslo_middleware.healthcheck import pluginbase

OPTIONS = [
    cfg.FloatOpt("rpc_ping_timeout", default=1.0, help="Time limit for an engine's answer, in seconds.")
]


class RpcPing(pluginbase.HealthcheckBaseExtension):  # type: ignore[misc]
    """Pings any engine over the API's own connections to RabbitMQ."""

    def __init__(self, oslo_conf: cfg.ConfigOpts, conf: dict[str, str]) -> None:
        super().__init__(oslo_conf, conf)
        self.oslo_conf.register_opts(OPTIONS, group="healthcheck")

    def healthcheck(self, server_port: int) -> pluginbase.HealthcheckResult:
        """Healthy if an engine answers in time."""
        try:
            target = oslo_messaging.Target(topic="engine", version="1.0")
            client = oslo_messaging.get_rpc_client(messaging.TRANSPORT, target)
            timeout = self._conf_get("rpc_ping_timeout")
            client.prepare(timeout=timeout, retry=0).call({}, "oslo_rpc_server_ping")
        except Exception as problem:
            return pluginbase.HealthcheckResult(False, f"NO RPC: {type(problem).__name__}")
        return pluginbase.HealthcheckResult(True, "RPC OK")
