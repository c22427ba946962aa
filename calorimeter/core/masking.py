"""Removes passwords from lines of heat.conf and of HAProxy configuration before they are shown or kept."""

from __future__ import annotations

import re

MASK = "********"
_IN_URL = re.compile(r"(://[^:/@\s]*:)\S*@")
"""Up to the last `@`: a password that was not percent-encoded may contain any character."""
_BY_NAME = re.compile(
    r"^([ +\-]?\s*[\w.]*(?:password|passwd|secret|encryption_key|admin_token)\w*\s*[=:]\s*)(\S.*)$",
    re.IGNORECASE,
)
_HAPROXY = re.compile(
    r"^([ +\-]?\s*(?:stats\s+auth\s+[^:\s]+:|user\s+\S+\s+(?:insecure-)?password\s+"
    r"|(?:pre)?setenv\s+\S*(?:pass|secret|token|key)\S*\s+"
    r"|.*\b(?:authorization|cookie|x-[\w-]*(?:token|key|auth|secret)[\w-]*)\s+))(.+)$",
    re.IGNORECASE,
)


def mask(line: str) -> str:
    """Replace the passwords in one line; the rest of the line stays as it is."""
    body = line.rstrip("\r\n")
    end = line[len(body) :]
    for pattern in (_BY_NAME, _HAPROXY):
        match = pattern.match(body)
        if match:
            return f"{match[1]}{MASK}{end}"
    return _IN_URL.sub(lambda match: f"{match[1]}{MASK}@", body) + end


def mask_all(text: str) -> str:
    """Replace the passwords in every line of a text."""
    return "".join(mask(line) for line in text.splitlines(keepends=True))
