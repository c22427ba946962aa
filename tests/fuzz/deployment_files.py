"""Cases of deployment.toml: valid ones mutated as text and as trees, and tables drawn from the model."""

from __future__ import annotations

import tomllib

from hypothesis import strategies as st

from calorimeter.core.deployment import Deployment
from tests.fuzz.case import Case
from tests.fuzz.haproxy_texts import SECRET
from tests.fuzz.model_trees import of_model
from tests.fuzz.mutations_of_text import texts, toml, trees
from tests.places import GUIDE

VALID = b"""\
name = "fuzzed"
[rest]
url = "http://127.0.0.1:1/v1"
proxy_section = "rest_api_proxy"
backends = [{ name = "rest-1", address = "127.0.0.1:2" }, { name = "rest-2", address = "127.0.0.1:3" }]
[cfn]
url = "http://127.0.0.1:4/v1"
proxy_section = "cfn_api_proxy"
backends = [{ name = "cfn-1", address = "127.0.0.1:5" }, { name = "cfn-2", address = "[::1]:6" }]
[[proxy]]
name = "proxy"
stats = ["unix:///nowhere/haproxy.sock", "http://127.0.0.1:7/stats"]
stats_user = "admin"
stats_password = { env = "FUZZ_PASSWORD" }
logs = ["udp://127.0.0.1:44514", "file:///nowhere/haproxy.log"]
config = ["haproxy.cfg"]
checks = { inter_s = 2.0, fall = 3, rise = 2, timeout_check_s = 10 }
[broker]
amqp = ["amqp://127.0.0.1:8", "amqps://127.0.0.1:9"]
management = "http://127.0.0.1:10"
user = "heat"
password = { file = "deployment.secrets.toml", key = "broker" }
[database]
url = "tcp://127.0.0.1:12"
user = "calorimeter"
password = { file = "deployment.secrets.toml", key = "user" }
name = "heat"
[[engines]]
hosts = ["engine-1", "engine-2"]
workers = 2
[identity]
auth_url = "http://127.0.0.1:11/v3"
username = "calorimeter"
password = { file = "deployment.secrets.toml", key = "user" }
project = "calorimeter"
ec2_access = "key"
ec2_secret = { file = "deployment.secrets.toml", key = "user" }
[[tenants]]
auth_url = "http://127.0.0.1:11/v3"
username = "one"
password = { file = "deployment.secrets.toml", key = "user" }
project = "one"
[tls]
verify = false
[clients]
sources = ["127.0.0.0/28"]
[[parts]]
name = "rest-1"
kind = "rest"
kill = "kill-it"
start = "start-it"
faults = { slow = { inject = "slow-it", heal = "heal-it" } }
[[heat_conf]]
host = "engine-1"
files = ["heat.conf"]
roles = ["engine"]
[expect]
balance = "source"
max_detection_s = 20
weights = { rest-1 = 2 }
rest = { hash_type = "consistent" }
[consent]
level = "invasive"
[waive]
A7 = "known"
[scale]
engines = "scale-it"
[versions]
heat = "24.0.0"
rabbitmq = "3.10.8"
"""
SECRETS = f'broker = "{SECRET}"\nuser = "{SECRET}"\n'.encode()
FILES = {
    "haproxy.cfg": (GUIDE / "apis-proxy.conf").read_bytes(),
    "heat.conf": (GUIDE / "heat-b.conf").read_bytes(),
    "deployment.secrets.toml": SECRETS,
}


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A command that reads a deployment file, and that file."""
    text = draw(
        st.one_of(
            texts([VALID]), trees([tomllib.loads(VALID.decode())]).map(toml), of_model(Deployment).map(toml)
        )
    )
    files = {**FILES, "deployment.toml": text}
    if draw(st.integers(0, 5)) == 3:
        files["deployment.secrets.toml"] = draw(texts([SECRETS]))
    return Case("deployment", draw(st.sampled_from(_COMMANDS)), files, (SECRET,), run="run")


_COMMANDS: tuple[tuple[str, ...], ...] = (
    *(("audit", "deployment.toml", "--no-resolve"), ("audit", "deployment.toml", "--format", "json")),
    *(("doctor", "deployment.toml"), ("doctor",), ("watch", "run", "--deployment", "deployment.toml")),
    ("fault", "deployment.toml", "--fault", "rest-1:kill@0s+1s", "--yes-break-it"),
    ("run", "first-mix", "--duration", "1s", "--fault", "rest-*:slow@0s+1s", "--yes-break-it"),
    ("capacity", "capacity-mix", "--hold", "1s"),
    ("scale", "engine-wait", "--engines", "1,2,3", "--duration", "1s"),
    ("trace", "deployment.toml", "--", "true"),
)
