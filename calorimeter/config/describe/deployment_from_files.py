"""Builds a `Deployment` from configuration files and the owner's answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from calorimeter.config.audit.sections.section_questions import question
from calorimeter.config.audit.subject import ApiName, AuditedFiles, HeatProxy, Inputs, Texts, build
from calorimeter.config.describe import (
    broker_nodes,
    engine_hosts,
    expectations_found,
    proxy_tables,
    reached_hosts,
)
from calorimeter.config.describe.api_tables import ApiTable, describe_api
from calorimeter.config.describe.gathered import Gathered
from calorimeter.config.describe.owner_answers import Answers, Missing
from calorimeter.config.haproxy import ProxiedService
from calorimeter.config.hosts import host_of_url, is_loopback
from calorimeter.core.deployment import (
    ConsentTable,
    Deployment,
    HeatConf,
    Proxy,
    Tls,
)
from calorimeter.core.errors import InputError
from calorimeter.core.login.identities import Identity
from calorimeter.core.secrecy.secrets import Secret


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
        self.gathered = Gathered(Path(secrets_file))

    def describe(self) -> Description:
        rest = self._api("rest")
        if rest.table is None or rest.service is None:
            raise self._no_rest()
        cfn = self._api("cfn")
        services: dict[ApiName, ProxiedService] = {"rest": rest.service}
        if cfn.service:
            services["cfn"] = cfn.service
        deployment = Deployment(
            name=self.answers.name,
            rest=rest.table,
            cfn=cfn.table,
            proxy=tuple(self._proxy(proxy) for proxy in self.subject.proxies),
            broker=broker_nodes.broker(self.subject, self.answers, self.gathered),
            engines=engine_hosts.engines(self.subject, self.answers, self.gathered),
            identity=self._identity(),
            control=reached_hosts.control(self.subject, self.answers, self.gathered),
            tls=Tls(ca_file=self.answers.ca_file, verify=self.answers.verify),
            heat_conf=tuple(
                HeatConf(
                    host=process.host,
                    files=self._paths(process.files),
                    roles=tuple(sorted(process.roles or ())),
                )
                for process in self.subject.inputs.heat
            ),
            expect=expectations_found.expect(self.subject, services, self.answers),
            consent=ConsentTable(level=self.answers.consent),
        )
        gathered = self.gathered
        return Description(
            deployment, gathered.secrets, gathered.missing, self._auth_url, tuple(gathered.notes)
        )

    def _api(self, api: ApiName) -> ApiTable:
        described = describe_api(self.subject, api, self.answers)
        self.gathered.missing.extend(described.missing)
        self.gathered.notes.extend(described.notes)
        return described

    def _no_rest(self) -> InputError:
        if self.subject.proxies:
            return question(self.subject.proxies[0], "rest")
        return InputError("describe", "no --proxy given", "valid: --proxy FILE, HAProxy's configuration")

    def _proxy(self, proxy: HeatProxy) -> Proxy:
        only = len(self.subject.proxies) == 1
        described = proxy_tables.table(proxy, self.answers, only=only)
        self.gathered.missing.extend(described.missing)
        key = "stats_password" if only else f"stats_password_{proxy.name}"
        password = described.password and self.gathered.secret(key, described.password)
        return described.table.model_copy(
            update={
                "stats_password": password,
                "config": self._paths(dict(self.subject.inputs.proxies)[proxy.name]),
            }
        )

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
                "the user of the suite (or --cloud NAME, an entry of clouds.yaml)",
                "--username NAME",
                answers.username,
            ),
            ("identity.project", "the project of the suite", "--project NAME", answers.project),
        ):
            if not value:
                self.gathered.lacks(key, what, option)
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
            self.gathered.lacks("identity.cloud", answers.cloud_problem, "--cloud NAME --clouds-file FILE")
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
