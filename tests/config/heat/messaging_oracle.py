"""Reads transport URLs with the oslo.messaging and kombu of .venv-heat, as a process with lines of JSON.

Each line in is [transport_url, ssl option]; each line out is the broker that a Heat process would connect
to, or the message with which it fails. Nothing is connected. It runs outside the suite's environment.
"""

import json
import logging
import sys

import kombu.connection
import oslo_messaging
from oslo_config import cfg
from oslo_messaging._drivers import common, impl_rabbit
from oslo_messaging.opts import list_opts
from oslo_messaging.transport import TransportURL

KombuConnection = kombu.connection.Connection


class CapturedError(Exception):
    """What the driver gives kombu; raised instead of connecting."""


def _capture(url, ssl=False, **_options):
    raise CapturedError(url, bool(ssl))


def options():
    """The options of a Heat process without files."""
    conf = cfg.ConfigOpts()
    conf([], project="heat", default_config_files=[])
    for group, known in list_opts():
        conf.register_opts(known, group=group)
    return conf


def read(conf, url, ssl):
    """The transport of one Heat process, as plain data."""
    conf.set_override("transport_url", url)
    conf.set_override("ssl", ssl, group="oslo_messaging_rabbit")
    transport = oslo_messaging.get_rpc_transport(conf)
    parsed = TransportURL.parse(conf)
    hosts = [[host.hostname, host.port, host.username, host.password] for host in parsed.hosts]
    found = {"hosts": hosts, "vhost": parsed.virtual_host, "scheme": parsed.transport}
    if isinstance(transport._driver, impl_rabbit.RabbitDriver):
        try:
            impl_rabbit.Connection(transport._driver.conf, parsed, common.PURPOSE_SEND)
        except CapturedError as captured:
            given, tls = captured.args
            nodes = [KombuConnection(each, ssl=tls).info() for each in sorted(given.split(";"))]
            found["tls"] = all(node["ssl"] for node in nodes)
            found["nodes"] = [
                [node["hostname"], node["port"], node["userid"], node["password"], node["virtual_host"]]
                for node in nodes
            ]
    return found


def main():
    """Answer each line of standard input with one line."""
    logging.disable(logging.CRITICAL)
    kombu.connection.Connection = _capture
    conf = options()
    for line in sys.stdin:
        try:
            answer = read(conf, *json.loads(line))
        except Exception as problem:
            answer = {"fault": f"{type(problem).__name__}: {problem}"}
        print(json.dumps(answer), flush=True)


main()
