"""Builds a `Deployment` from configuration files and the owner's answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from calorimeter.config.audit.subject import APIS, ApiName, AuditedFiles, HeatProxy, Inputs, Texts, build
from calorimeter.config.describe.owner_answers import Answers, Missing
from calorimeter.config.describe.stats_urls import pages, socket_urls
from calorimeter.config.haproxy import Bind, HAProxyServer, ProxiedService
from calorimeter.config.heat.heat_conf import Transport
from calorimeter.config.hosts import WILDCARDS, host_of_url, host_port, is_loopback
from calorimeter.core.deployment import (
    Api,
    Backend,
    Broker,
    Checks,
    ConsentTable,
    Deployment,
    Engines,
    Expect,
    HeatConf,
    Proxy,
    Tls,
)
from calorimeter.core.errors import InputError
from calorimeter.core.identities import Identity
from calorimeter.core.secrets import Secret


@dataclass(slots=True)
class Description:
    """A deployment, the secrets that it refers to by key, and what is missing in it."""

    deployment: Deployment
    secrets: dict[str, str] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)
    auth_url: str | None = None


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

    def describe(self) -> Description:
        rest = self._api("rest", self.answers.rest_url)
        if rest is None:
            places = ", ".join(name for _, files in self.subject.inputs.proxies for name, _ in files)
            raise InputError(
                places or "--proxy", "no section serves Heat's REST API", "name it with --rest-section"
            )
        deployment = Deployment(
            name=self.answers.name,
            rest=rest,
            cfn=self._api("cfn", self.answers.cfn_url),
            proxy=tuple(self._proxy(proxy) for proxy in self.subject.proxies),
            broker=self._broker(),
            engines=self._engines(),
            identity=self._identity(),
            tls=Tls(ca_file=self.answers.ca_file, verify=self.answers.verify),
            heat_conf=tuple(
                HeatConf(host=process.host, files=self._paths(process.files))
                for process in self.subject.inputs.heat
            ),
            expect=self._expect(),
            consent=ConsentTable(level=self.answers.consent),
        )
        return Description(deployment, self.secrets, self.missing, self._auth_url)

    def _note_missing(self, key: str, what: str, option: str) -> None:
        self.missing.append(Missing(key, what, option))

    def _secret(self, key: str, value: str) -> Secret:
        self.secrets[key] = value
        return Secret(file=self.secrets_file, key=key)

    def _services(self, api: ApiName) -> list[ProxiedService]:
        return [service for name, service in self.subject.api_services if name == api]

    def _api(self, api: ApiName, url: str | None) -> Api | None:
        services = self._services(api)
        if not services:
            return None
        servers = {server.name: server for service in services for server in service.back.servers}
        backends = [
            Backend(name=server.name, address=server.text)
            for server in servers.values()
            if server.port is not None and server.port > 0
        ]
        if not backends:
            raise InputError(services[0].name, "has no server with an address and a port")
        return Api(
            url=url or self._front_url(api, services),
            proxy_section=services[0].name,
            backends=tuple(backends),
        )

    def _front_url(self, api: ApiName, services: list[ProxiedService]) -> str:
        binds = [bind for service in services for bind in service.front.binds if bind.port]
        for bind in binds:
            host = self._front_host(bind)
            if host:
                scheme = "https" if "ssl" in bind.options else "http"
                return f"{scheme}://{host_port(host, bind.port)}/v1"
        raise InputError(
            f"{api}.url",
            f"{services[0].front.name} is bound to {', '.join(b.text for b in binds) or 'no port'}",
            f"valid: --{api}-url http://HOST:PORT/v1, the address that clients use",
        )

    def _front_host(self, bind: Bind) -> str | None:
        """The host of a bind; for a wildcard, that of a Heat file with the port (the guide's machine A)."""
        if bind.host not in WILDCARDS:
            return bind.host
        servers = {server.text for _, server in self.subject.servers}
        hosts = (
            listener.host
            for _, _, listener in self.subject.api_listeners
            if listener.port == bind.port and not listener.wildcard and listener.text not in servers
        )
        return next(hosts, None)

    def _proxy(self, proxy: HeatProxy) -> Proxy:
        stats, user, password = self._stats(proxy)
        logs = self.answers.logs
        if not stats:
            self._note_missing(
                "proxy.stats", "HAProxy's stats socket or stats page", "--stats unix:///run/haproxy.sock"
            )
        if not logs:
            targets = ", ".join(s.words[0] for s in proxy.configuration.globals.all("log") if s.words)
            self._note_missing(
                "proxy.logs",
                f"the place to read HAProxy's log (it logs to {targets or 'no target'})",
                "--log udp://HOST:PORT, or --log file:///var/log/haproxy.log",
            )
        return Proxy(
            name=proxy.name,
            stats=stats,
            stats_user=user,
            stats_password=password,
            logs=logs,
            config=self._paths(dict(self.subject.inputs.proxies)[proxy.name]),
            checks=_checks(self._services("rest")),
        )

    def _stats(self, proxy: HeatProxy) -> tuple[tuple[str, ...], str | None, Secret | None]:
        """The stats URLs, and the user and password of the first page that has them."""
        given = self.answers.stats
        found = list(given or socket_urls(proxy.configuration))
        login = None
        for urls, page_login in pages(proxy.configuration):
            if not given:
                found.extend(urls)
            if urls or given:
                login = login or page_login
        if not login:
            return tuple(dict.fromkeys(found)), None, None
        user, _, password = login.partition(":")
        return tuple(dict.fromkeys(found)), user, self._secret("stats_password", password)

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
        if answers.cloud is not None:
            return self._cloud(answers.cloud)
        url = self._auth_url
        for key, what, option, value in (
            ("identity.auth_url", "Keystone's URL", "--auth-url URL", url),
            (
                "identity.username",
                "the user of the suite",
                "--username NAME, or --cloud NAME of clouds.yaml",
                answers.username,
            ),
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

    def _cloud(self, name: str) -> Identity:
        answers = self.answers
        if answers.cloud_problem:
            self._note_missing("identity.cloud", answers.cloud_problem, "--cloud NAME --clouds-file FILE")
        file = answers.clouds_file
        if file is None:
            return Identity(cloud=name, region=answers.region)
        return Identity(cloud=name, clouds_file=self._near(str(file)), region=answers.region)

    def _paths(self, files: Texts) -> tuple[Path, ...]:
        """The paths of files as the deployment file names them."""
        return tuple(self._near(name) for name, _ in files)

    def _near(self, name: str) -> Path:
        """A path relative to the folder of the deployment file, if it is below it."""
        path, folder = Path(name).absolute(), self.folder.absolute()
        return path.relative_to(folder) if path.is_relative_to(folder) else path

    def _expect(self) -> Expect:
        """What is configured now, as a start for what the owner wants."""
        rest = self._services("rest")[0]
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


def _checks(services: Sequence[ProxiedService]) -> Checks | None:
    """How the servers of a section are checked: the most frequent way; None if no server is checked."""
    checked = [service.back.checks(s) for service in services for s in service.back.servers if s.check]
    return Counter(checked).most_common(1)[0][0] if checked else None


def _cut(servers: Sequence[HAProxyServer]) -> bool:
    """Whether the connections of every checked server end when it goes DOWN."""
    actions = [server.parameters.get("on-marked-down") for server in servers if server.check]
    return bool(actions) and all(action and action.value == "shutdown-sessions" for action in actions)
