"""Resolves a parsed HAProxy configuration: every proxy section with the values in force.

Inheritance (manual, section 4 "Proxies"): a proxy inherits from the last `defaults` section before it, or
from the one that it names with `from`. A `defaults` section inherits only from one that it names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from calorimeter.config.haproxy.proxied_service import ProxiedService, routes
from calorimeter.config.haproxy.proxy_section import ProxySection, resolved
from calorimeter.config.haproxy.stats_settings import ConfiguredStats
from calorimeter.config.haproxy.text import PROXIES, HAProxyFiles, HAProxySection
from calorimeter.config.haproxy.values import Values


@dataclass(frozen=True, slots=True)
class HAProxyConfig:
    """A whole HAProxy configuration, resolved."""

    tree: HAProxyFiles
    globals: Values
    proxies: tuple[ProxySection, ...]

    @property
    def services(self) -> tuple[ProxiedService, ...]:
        """Every path from binds to servers, in the order of the `listen` and `frontend` sections.

        Sections that are disabled are left out.
        """
        return tuple(route for route in routes(self.proxies) if route.back.servers)

    @property
    def stats_pages(self) -> Iterator[tuple[ProxySection, ConfiguredStats]]:
        """The stats pages that clients can open, each with the section whose binds lead to it."""
        fronts = [each for each in self.proxies if each.kind != "backend" and not each.disabled]
        pairs = [(front, front.stats_page) for front in fronts]
        pairs += [(route.front, route.back.stats_page) for route in routes(self.proxies)]
        seen = set()
        for front, page in pairs:
            if page and front.word("mode") == "http" and (front.name, page.uri) not in seen:
                seen.add((front.name, page.uri))
                yield front, page

    @property
    def global_section(self) -> HAProxySection | None:
        """The first `global` section."""
        return next((section for section in self.tree.sections if section.kind == "global"), None)


def resolve(tree: HAProxyFiles) -> HAProxyConfig:
    """Resolve inheritance in a tree; never raises."""
    named: dict[str, Values] = {}
    latest = Values()
    globals_ = Values()
    proxies: list[ProxySection] = []
    for section in tree.sections:
        if section.kind == "global":
            globals_ = globals_.extended(section)
        elif section.kind == "defaults":
            latest = named.get(section.parent or "", Values()).extended(section)
            if section.name:
                named[section.name] = latest
        elif section.kind in PROXIES:
            inherited = named.get(section.parent, Values()) if section.parent else latest
            proxies.append(resolved(section, inherited))
    return HAProxyConfig(tree, globals_, tuple(proxies))
