"""Recognizes the configuration of other proxies, so that a message can name them."""

from __future__ import annotations

import re

_PROGRAMS = {
    "nginx": r"upstream\s+\S+\s*\{|server\s*\{|http\s*\{|events\s*\{|location\s.*\{|proxy_pass\s",
    "Apache": r"<(Proxy|VirtualHost|Location|IfModule)\b|ProxyPass\b|BalancerMember\b",
    "Kubernetes": r"apiVersion:\s|kind:\s*(Ingress|Service|ConfigMap|Gateway|HTTPRoute)\b",
    "Envoy": r"static_resources:|dynamic_resources:|admin:\s*$",
    "Traefik": r"entryPoints:|\[entryPoints|\[?(http|tcp)\.(routers|services)|routers:\s*$",
    "keepalived": r"vrrp_instance\s|virtual_server\s",
}
_STARTS = {name: re.compile(rf"^[ \t]*({start})", re.MULTILINE) for name, start in _PROGRAMS.items()}
_STATEMENT = re.compile(r"^[ \t]*([^\s#;].*)", re.MULTILINE)


def program_of(text: str) -> str | None:
    """The program whose configuration a text looks like; None if it is not one of the known ones."""
    return next((name for name, start in _STARTS.items() if start.search(text)), None)


def first_statement(text: str) -> tuple[int, str]:
    """Number and text of the first line that is neither blank nor a comment; (1, "") without one."""
    match = _STATEMENT.search(text)
    return (text.count("\n", 0, match.start()) + 1, match[1].rstrip(" \t\r")) if match else (1, "")
