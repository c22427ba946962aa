"""A scaled-out Heat in which the audit finds nothing; the examples of the rules are edits of it."""

from __future__ import annotations

from typing import Any

from calorimeter.config.audit import HeatFiles, Inputs

PROXY = """\
global
    daemon
    maxconn 4000
    log 127.0.0.1:514 local0
    stats socket /run/haproxy/admin.sock mode 660 level admin

defaults
    mode tcp
    log global
    option tcplog
    option redispatch 1
    retries 3
    maxconn 2000
    timeout queue 1m
    timeout connect 10s
    timeout client 70s
    timeout server 70s
    timeout check 2s

listen rest_api_proxy
    bind 10.0.0.1:8004
    balance source
    hash-type consistent
    option tcpka
    option httpchk GET /healthcheck
    default-server check inter 2s fall 3 rise 2 maxconn 500 on-marked-down shutdown-sessions
    server rest-1 10.0.0.2:8004
    server rest-2 10.0.0.3:8004

listen cfn_api_proxy
    bind 10.0.0.1:8000
    balance source
    hash-type consistent
    option tcpka
    option httpchk GET /healthcheck
    default-server check inter 2s fall 3 rise 2 maxconn 500 on-marked-down shutdown-sessions
    server cfn-1 10.0.0.2:8000
    server cfn-2 10.0.0.3:8000
"""

HEAT = """\
[DEFAULT]
transport_url = rabbit://heat:broker-pw@10.0.0.1:5672/
auth_encryption_key = 0123456789abcdef0123456789abcdef
deferred_auth_method = password
num_engine_workers = 2
rpc_response_timeout = 60

[database]
connection = mysql+pymysql://heat:db-pw@10.0.0.1/heat

[heat_api]
bind_host = ADDRESS
bind_port = 8004

[heat_api_cfn]
bind_host = ADDRESS
bind_port = 8000

[oslo_messaging_rabbit]
rabbit_quorum_queue = false

[keystone_authtoken]
auth_type = password
auth_url = http://10.0.0.1:5000
username = heat
password = service-pw
project_name = service

[ec2authtoken]
auth_type = password
endpoint_override = http://10.0.0.1:5000
username = heat
password = service-pw

[oslo_policy]
enforce_new_defaults = false
enforce_scope = false
"""

SAID: dict[str, Any] = {
    "max_detection_s": 20.0,
    "tcp_keepalive": True,
    "expect_balance": {"rest": "source", "cfn": "source"},
    "heat_release": 24,
    "rabbitmq_release": (4, 2),
}
"""What the owner of the clean deployment, and of the guide's, says."""

SECRETS = ("broker-pw", "db-pw", "service-pw", "0123456789abcdef")


def heat(address: str) -> str:
    """heat.conf of the machine at an address."""
    return HEAT.replace("ADDRESS", address)


def inputs(proxy: str = PROXY, b: str = heat("10.0.0.2"), c: str = heat("10.0.0.3")) -> Inputs:
    """The clean deployment, or an edit of it."""
    return Inputs(
        proxies=(("proxy", (("apis-proxy.conf", proxy),)),),
        heat=(HeatFiles("B", (("heat-b.conf", b),)), HeatFiles("C", (("heat-c.conf", c),))),
        **SAID,
    )


def edited(file: str, old: str, new: str) -> Inputs:
    """The clean deployment with the first `old` in one file (proxy, b or c) replaced by `new`."""
    texts = {"proxy": PROXY, "b": heat("10.0.0.2"), "c": heat("10.0.0.3")}
    assert old in texts[file], old
    texts[file] = texts[file].replace(old, new, 1)
    return inputs(texts["proxy"], texts["b"], texts["c"])
