"""Asks the owner which section serves an API, if the files do not plainly say it."""

from __future__ import annotations

from calorimeter.config.audit.sections.listeners import APIS, ApiName
from calorimeter.config.audit.subject import AuditedFiles, HeatProxy
from calorimeter.config.haproxy.refused_lines import includes
from calorimeter.core.errors import InputError, nearest


def require_apis(subject: AuditedFiles) -> None:
    """Raise InputError if a proxy plainly serves none of Heat's APIs, or if a named section does not exist.

    An audit of another service's files would find nothing, which would look like a good result.
    """
    for api in APIS:
        _require_named(subject, api)
    for proxy in subject.proxies:
        if not any(True for _ in proxy.api_services) or proxy.sections.unclear.get("rest"):
            for line in includes(proxy.configuration.tree):
                raise InputError(
                    f"{line.file}:{line.number}",
                    f"{' '.join(line.words)!r} is not a statement of HAProxy: the files are not read",
                    "valid: --proxy FILE and --proxy FOLDER, in the order in which they are included",
                )
            raise question(proxy, "rest")


def question(proxy: HeatProxy, api: ApiName) -> InputError:
    """The question for the section of an API, with the candidates and the reason for each."""
    plainly = "plainly" if proxy.sections.unclear.get(api) else "recognized as"
    return InputError(
        _files(proxy),
        f"no section is {plainly} Heat's {api.upper()} API",
        f"name it with --{api}-section; sections with servers: {proxy.sections.listed(api)}",
    )


def _require_named(subject: AuditedFiles, api: ApiName) -> None:
    name = subject.inputs.sections.get(api)
    if name is None or any(proxy.sections.named(api, name) for proxy in subject.proxies):
        return
    for proxy in subject.proxies[:1]:
        names = {each for proxy in subject.proxies for each in proxy.sections.names}
        known = name in names
        several = f"frontend {name} has several backends, and none is plainly the {api.upper()} API"
        raise InputError(
            _files(proxy),
            several if known else f"unknown section of the {api.upper()} API {name!r}",
            f"name one of the sections with servers: {proxy.sections.listed(api)}",
            None if known else nearest(name, names),
        )


def _files(proxy: HeatProxy) -> str:
    return ", ".join(file.name for file in proxy.configuration.tree.files) or proxy.name
