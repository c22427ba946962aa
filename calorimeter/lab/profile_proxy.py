"""The proxy's configuration as a profile has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from calorimeter.config.haproxy.haproxy_writer import HealthCheck, ListenSection, ProxyConfig
from calorimeter.lab.lab_profile import ProxySettings, ServerCheck, Sourced, T


def configured(settings: ProxySettings, guides: ProxyConfig, timeouts: Mapping[str, str]) -> ProxyConfig:
    """The guide's configuration with everything that the profile sets in place of it.

    What options of `lab up` set stays as in `guides`: addresses, servers, balance, mode, the limit of the
    whole proxy, log and stats. The requested `timeouts` win.
    """
    defaults = settings.defaults
    return replace(
        guides,
        listens=tuple(_section(settings, listen) for listen in guides.listens),
        default_maxconn=_value(defaults.maxconn),
        default_options=defaults.options.value,
        retries=defaults.retries.value,
        timeouts={**{name: each.value for name, each in settings.timeouts.items()}, **timeouts},
        global_lines=(
            *guides.global_lines,
            *(f"{keyword} {each.value}" for keyword, each in settings.of_global.items()),
        ),
    )


def _section(settings: ProxySettings, listen: ListenSection) -> ListenSection:
    check = _check(settings.check)
    return replace(
        listen,
        options=settings.section.options.value,
        lines=(*listen.lines, *(_value(settings.section.lines) or ())),
        servers=tuple(replace(server, check=check) for server in listen.servers),
    )


def _check(check: ServerCheck) -> HealthCheck:
    return HealthCheck(inter=_value(check.inter), fall=_value(check.fall), rise=_value(check.rise))


def _value(each: Sourced[T] | None) -> T | None:
    return each.value if each is not None else None
