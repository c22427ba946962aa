"""One command describes a stock rendering of each deployment tool, and its audit finds no error."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from calorimeter.commands import configuration
from calorimeter.core import deployment as deployments

STOCK = Path(__file__).resolve().parents[1] / "data" / "stock"
PAGE = STOCK.parents[2] / "docs" / "how-to" / "your-deployment.md"


@dataclass(frozen=True, slots=True)
class Tool:
    """A deployment tool: the options that name its files, and what `describe` must find in them."""

    name: str
    proxy: tuple[str, ...]
    heat: tuple[str, ...]
    rest: tuple[str, str]
    cfn: tuple[str, str]
    backends: tuple[str, ...]
    broker: tuple[str, ...]
    engines: dict[str, int]
    more: tuple[str, ...] = ()

    @property
    def options(self) -> list[str]:
        """The command line."""
        found = [word for file in self.proxy for word in ("--proxy", str(STOCK / self.name / file))]
        for text in self.heat:
            host, _, file = text.partition("=")
            found += ["--heat-conf", f"{host}={STOCK / self.name / file}"]
        return [*found, *self.more]


def _nodes(scheme: str, *hosts: str) -> tuple[str, ...]:
    return tuple(f"{scheme}://{host}" for host in hosts)


_CONTROLLER = "overcloud-controller"

TOOLS = (
    Tool(
        "kolla",
        ("haproxy.cfg", "services.d"),
        tuple(
            f"ctl0{n}=ctl0{n}/{process}/heat.conf"
            for n in (1, 2, 3)
            for process in ("heat-api", "heat-api-cfn", "heat-engine")
        ),
        rest=("http://10.0.0.250:8004/v1", "heat_api_back"),
        cfn=("http://10.0.0.250:8000/v1", "heat_api_cfn_back"),
        backends=("10.0.0.11", "10.0.0.12", "10.0.0.13"),
        broker=_nodes("amqp", "10.0.0.11:5672", "10.0.0.12:5672", "10.0.0.13:5672"),
        engines={"ctl01": 5, "ctl02": 5, "ctl03": 5},
    ),
    Tool(
        "osa",
        ("haproxy.cfg",),
        tuple(f"infra{n}=heat-infra{n}.conf" for n in (1, 2, 3)),
        rest=("https://192.0.2.250:8004/v1", "heat_api-back"),
        cfn=("https://192.0.2.250:8000/v1", "heat_api_cfn-back"),
        backends=("10.0.0.11", "10.0.0.12", "10.0.0.13"),
        broker=_nodes("amqps", "10.0.0.21:5671", "10.0.0.22:5671", "10.0.0.23:5671"),
        engines={"infra1": 4, "infra2": 4, "infra3": 4},
    ),
    Tool(
        "charm",
        ("haproxy.cfg",),
        tuple(f"heat-{n}=heat-{n}.conf" for n in (0, 1, 2)),
        rest=("http://10.0.0.250:8004/v1", "heat_api_10.0.0.11"),
        cfn=("http://10.0.0.250:8000/v1", "heat_cfn_api_10.0.0.11"),
        backends=("10.0.0.11", "10.0.0.12", "10.0.0.13"),
        broker=_nodes("amqp", "10.0.0.21:5672", "10.0.0.22:5672", "10.0.0.23:5672"),
        engines={"heat": 12},
        # The charm's proxies bind every address; the virtual address is in no file.
        more=(
            "--rest-url", "http://10.0.0.250:8004/v1", "--cfn-url", "http://10.0.0.250:8000/v1",
        ),
    ),
    Tool(
        "tripleo",
        ("haproxy.cfg",),
        tuple(
            f"{_CONTROLLER}-{n}=controller-{n}/{volume}/heat.conf"
            for n in (0, 1, 2)
            for volume in ("heat_api", "heat_api_cfn", "heat")
        ),
        rest=("http://[fd00:fd00:fd00:2000::5]:8004/v1", "heat_api"),
        cfn=("http://[fd00:fd00:fd00:2000::5]:8000/v1", "heat_cfn"),
        backends=tuple(f"[fd00:fd00:fd00:2000::1{n}]" for n in (0, 1, 2)),
        broker=_nodes("amqp", *(f"{_CONTROLLER}-{n}.internalapi.localdomain:5672" for n in (0, 1, 2))),
        engines={f"{_CONTROLLER}-{n}": 4 for n in (0, 1, 2)},
    ),
)  # fmt: skip
EACH = pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)


def describe(tool: Tool, folder: Path) -> Path:
    """Run the command; return the deployment file."""
    file = folder / "deployment.toml"
    result = CliRunner().invoke(
        configuration.describe, [*tool.options, "-o", str(file)], standalone_mode=False
    )
    assert result.return_value == 0, (result.exception, result.output)
    return file


@EACH
def test_a_stock_deployment_is_described_by_one_command(tool: Tool, tmp_path: Path) -> None:
    """URL, section, backends, broker, engines and workers are right."""
    found = deployments.read(describe(tool, tmp_path))
    assert found.cfn is not None
    assert (found.rest.url, found.rest.proxy_section) == tool.rest
    assert (found.cfn.url, found.cfn.proxy_section) == tool.cfn
    port = "7994" if tool.name == "charm" else "8004"
    assert [backend.address for backend in found.rest.backends] == [f"{b}:{port}" for b in tool.backends]
    assert len(found.cfn.backends) == 3
    assert found.broker is not None
    assert found.broker.amqp == tool.broker
    assert found.engine_consumers == tool.engines


@EACH
def test_the_audit_of_a_stock_deployment_finds_no_error(tool: Tool, tmp_path: Path) -> None:
    """No finding is an error: a maintainer of the tool would refute it. The page has the counts."""
    file = describe(tool, tmp_path)
    result = CliRunner().invoke(configuration.audit, [str(file)], standalone_mode=False)
    assert [line for line in result.stdout.splitlines() if ": error " in line] == []
    assert "-secret" not in result.stdout
    counts = result.stdout.splitlines()[-1].partition(" in ")[0]
    assert f"| {counts} |" in PAGE.read_text()
