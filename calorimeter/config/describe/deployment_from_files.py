"""Builds a `Deployment` from configuration files and the owner's answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from calorimeter.config.audit.section_questions import question
from calorimeter.config.audit.subject import APIS, ApiName, AuditedFiles, HeatProxy, Inputs, Texts, build
from calorimeter.config.describe import proxy_tables
from calorimeter.config.describe.api_tables import ApiTable, describe_api
from calorimeter.config.describe.owner_answers import Answers, Missing
from calorimeter.config.haproxy import HAProxyServer, ProxiedService
from calorimeter.config.heat.heat_conf import Transport
from calorimeter.config.hosts import host_of_url, host_port, is_loopback
from calorimeter.core.deployment import (
    Broker,
    ConsentTable,
    Deployment,
    Engines,
    Expect,
    HeatConf,
    Identity,
    Proxy,
    Tls,
)
from calorimeter.core.errors import InputError
from calorimeter.core.secrets import Secret


@dataclass(slots=True)
class Description:
    """A deployment, the secrets that it refers to by key, what is missing in it, and the choices made."""

    deployment: Deployment
    secrets: dict[str, str] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)
    auth_url: str | None = None
    notes: tuple[str, ...] = ()


def describe(inputs: Inputs, answers: Answers, *, folder: Path, secrets_file: str) -> Description:
    """Describe a deployment; paths in it are relative to `folder`.

    Raises InputError if no section serves the REST API, or if the front address cannot be determined.
    """
    subject = build(inputs)
    try:
        return _Describer(subject, answers, folder, secrets_file).describe()
    except ValidationError as problem:
        error = problem.errors(include_url=False)[0]
        where = ".".join(str(part) for part in error["loc"]) or "deployment"
        message = error["msg"].removeprefix("Value error, ")
        raise InputError(where, f"{error['input']!r} given", message) from problem


class _Describer:
    def __init__(self, subject: AuditedFiles, answers: Answers, folder: Path, secrets_file: str) -> None:
        self.subject = subject
        self.answers = answers
        self.folder = folder
        self.secrets_file = Path(secrets_file)
        self.secrets: dict[str, str] = {}
        self.missing: list[Missing] = []
        self.notes: list[str] = []

    def describe(self) -> Description:
        rest = self._api("rest", self.answers.rest_url)
        if rest.table is None or rest.service is None:
            raise self._no_rest()
        deployment = Deployment(
            name=self.answers.name,
            rest=rest.table,
            cfn=self._api("cfn", self.answers.cfn_url).table,
            proxy=tuple(self._proxy(proxy) for proxy in self.subject.proxies),
            broker=self._broker(),
            engines=self._engines(),
            identity=self._identity(),
            tls=Tls(ca_file=self.answers.ca_file),
            heat_conf=tuple(
                HeatConf(host=process.host, files=self._paths(process.files))
                for process in self.subject.inputs.heat
            ),
            expect=self._expect(rest.service),
            consent=ConsentTable(level=self.answers.consent),
        )
        return Description(deployment, self.secrets, self.missing, self._auth_url, tuple(self.notes))

    def _note_missing(self, key: str, what: str, option: str) -> None:
        self.missing.append(Missing(key, what, option))

    def _secret(self, key: str, value: str) -> Secret:
        self.secrets[key] = value
        return Secret(file=self.secrets_file, key=key)

    def _services(self, api: ApiName) -> list[ProxiedService]:
        return [service for name, service in self.subject.api_services if name == api]

    def _api(self, api: ApiName, url: str | None) -> ApiTable:
        described = describe_api(self.subject, api, url, self.answers.auth_url)
        self.missing.extend(described.missing)
        self.notes.extend(described.notes)
        return described

    def _no_rest(self) -> InputError:
        if self.subject.proxies:
            return question(self.subject.proxies[0], "rest")
        return InputError("describe", "no --proxy given", "valid: --proxy FILE, HAProxy's configuration")

    def _proxy(self, proxy: HeatProxy) -> Proxy:
        only = len(self.subject.proxies) == 1
        described = proxy_tables.table(proxy, self.answers, only=only)
        self.missing.extend(described.missing)
        key = "stats_password" if only else f"stats_password_{proxy.name}"
        return described.table.model_copy(
            update={
                "stats_password": described.password and self._secret(key, described.password),
                "config": self._paths(dict(self.subject.inputs.proxies)[proxy.name]),
            }
        )

    def _broker(self) -> Broker | None:
        transports = [(index, conf.transport) for index, conf in enumerate(self.subject.heat)]
        named = [(index, each) for index, each in transports if each.value and each.hosts]
        if not named:
            if self.subject.heat:
                self._note_missing(
                    "broker", "RabbitMQ, which no Heat file sets", "transport_url in heat.conf"
                )
            return None
        # On the broker's own machine the file may name localhost; that of another machine has the address.
        remote = (pair for pair in named if not is_loopback(pair[1].hosts[0].host))
        index, transport = next(remote, named[0])
        host = self._broker_host(index, transport)
        if self.answers.management_url is None:
            self._note_missing(
                "broker.management",
                "RabbitMQ's management API (often at port 15672)",
                f"--management-url http://{host}:15672",
            )
        node = transport.hosts[0]
        return Broker(
            amqp=f"{'amqps' if transport.tls else 'amqp'}://{host_port(host, node.port)}",
            management=self.answers.management_url,
            user=node.user,
            password=self._secret("broker_password", node.password),
            vhost=transport.vhost,
        )

    def _broker_host(self, index: int, transport: Transport) -> str:
        host = transport.hosts[0].host
        return self.subject.machines.get(index, host) if is_loopback(host) else host

    def _engines(self) -> Engines | None:
        names = self.answers.engines or tuple(dict.fromkeys(conf.host for conf in self.subject.heat))
        if not names:
            self._note_missing("engines", "the hosts that run heat-engine", "--engine HOST")
            return None
        configured = {conf.engine_workers for conf in self.subject.heat if conf.host in names}
        workers = self.answers.engine_workers
        if workers is None and len(configured) == 1:
            workers = configured.pop()
        if workers is None:
            self._note_missing(
                "engines.workers",
                "processes of each heat-engine (num_engine_workers is not set, or differs between hosts)",
                "--engine-workers N",
            )
        return Engines(names=names, workers=workers or 1)

    @property
    def _auth_url(self) -> str | None:
        if self.answers.auth_url:
            return self.answers.auth_url
        urls = [conf.keystone.text.strip().rstrip("/") for conf in self.subject.heat if conf.keystone]
        for url in urls:
            if not is_loopback(host_of_url(url)):
                root = url.removesuffix("/v2.0").removesuffix("/v3")
                return f"{root}/v3"
        return None

    def _identity(self) -> Identity | None:
        answers = self.answers
        url = self._auth_url
        for key, what, option, value in (
            ("identity.auth_url", "Keystone's URL", "--auth-url URL", url),
            ("identity.username", "the user of the suite", "--username NAME", answers.username),
            ("identity.project", "the project of the suite", "--project NAME", answers.project),
        ):
            if not value:
                self._note_missing(key, what, option)
        if not url or not answers.username or not answers.project:
            return None
        return Identity(
            auth_url=url,
            username=answers.username,
            password=Secret(env=answers.password_env),
            project=answers.project,
            user_domain=answers.user_domain,
            project_domain=answers.project_domain,
            region=answers.region,
        )

    def _paths(self, files: Texts) -> tuple[Path, ...]:
        """The paths of files as the deployment file names them."""
        return tuple(self._near(name) for name, _ in files)

    def _near(self, name: str) -> Path:
        """A path relative to the folder of the deployment file, if it is below it."""
        path, folder = Path(name).absolute(), self.folder.absolute()
        return path.relative_to(folder) if path.is_relative_to(folder) else path

    def _expect(self, rest: ProxiedService) -> Expect:
        """What is configured now, as a start for what the owner wants."""
        front, back = rest.front, rest.back
        services = [service for name in APIS for service in self._services(name)]
        servers = [server for service in services for server in service.back.servers]
        limits = {server.count("maxconn") for server in servers}
        self._note_missing(
            "expect.max_detection_s",
            "the time in which a failed API must be detected",
            "the seconds, in the file",
        )
        return Expect(
            balance=back.word("balance"),
            hash_type=back.word("hash-type"),
            weights={server.name: server.weight for server in servers if server.weight != 1},
            server_maxconn=limits.pop() if len(limits) == 1 else None,
            timeout_client_s=front.timeout_s("client") or None,
            timeout_server_s=back.timeout_s("server") or None,
            timeout_connect_s=back.timeout_s("connect") or None,
            timeout_queue_s=back.timeout_s("queue") or None,
            timeout_http_request_s=front.timeout_s("http-request") or None,
            cut_sessions=_cut(servers),
            tcp_keepalive=bool(front.option("tcpka", "clitcpka") and back.option("tcpka", "srvtcpka")),
            rpc_timeout_s=float(self.subject.rpc_response_timeout_s),
        )


def _cut(servers: Sequence[HAProxyServer]) -> bool:
    """Whether the connections of every checked server end when it goes DOWN."""
    actions = [server.parameters.get("on-marked-down") for server in servers if server.check]
    return bool(actions) and all(action and action.value == "shutdown-sessions" for action in actions)
