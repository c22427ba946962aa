"""What holds for all files: no traceback, safe patches, no secret shown. It knows no rule of the audit."""

from __future__ import annotations

import html
import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from calorimeter.config import named_files
from calorimeter.config.audit import (
    AuditReport,
    Finding,
    Inputs,
    audit,
    corrected,
    output,
    patch,
    report_text,
)
from calorimeter.config.audit.patches.edited_text import applied
from calorimeter.config.audit.patches.safe_changes import audited
from calorimeter.config.audit.secrets_in_files import secrets_hidden
from calorimeter.config.describe import described_files
from calorimeter.config.describe.owner_answers import Answers
from calorimeter.core.errors import InputError
from calorimeter.core.secrecy.masking import mask_all
from tests.config.field.mutations import MutatedCase


def broken_promises(mutated: MutatedCase) -> list[str]:
    """What does not hold for a mutated case."""
    report = audit(mutated.inputs)
    after = corrected(mutated.inputs)
    again = audited(after).findings
    shown = {
        "text": report_text.text(report),
        "json": output.as_json(report),
        "sarif": output.sarif(report),
        "evidence": report.model_dump_json(),
        "repr": repr(report),
        **_described(mutated.inputs),
    }
    return [
        *_of_shown(shown, mutated.secrets),
        *_garbled(mutated, report),
        *_of_single_patches(mutated.inputs, report),
        *_of_the_patch(mutated.inputs, after),
        *_new_findings(report.faults, again),
        *(["correcting again changes more"] if corrected(after) != after else []),
    ]


def _described(inputs: Inputs) -> dict[str, str]:
    """What `describe` writes and says, except the file of the secrets."""
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "deployment.toml"
        try:
            with secrets_hidden(inputs):
                named_files.require_apis(inputs)
            described = described_files.write(inputs, Answers(), written, force=True)
        except InputError as problem:
            return {"InputError": str(problem)}
        missing = "".join(f"{each.key}: {each.what}; {each.option}\n" for each in described.missing)
        return {"deployment.toml": written.read_text(encoding="utf-8"), "missing": missing}


def _of_shown(shown: dict[str, str], secrets: tuple[str, ...]) -> Iterator[str]:
    for form, text in shown.items():
        plain = html.unescape(unquote(text))
        for secret in secrets:
            if secret in text or secret in plain:
                yield f"{form} shows a secret: …{_around(plain, secret)}…"
    if "\n" in shown.get("InputError", ""):
        yield "the InputError has several lines"
    for form in ("json", "sarif"):
        json.loads(shown[form])


def _garbled(mutated: MutatedCase, report: AuditReport) -> Iterator[str]:
    """Sentences without a secret are shown as they are."""
    shown = {finding.says for finding in report.faults}
    for finding in audited(mutated.inputs).findings:
        secret = any(part in finding.says for part in mutated.secrets)
        # A commented secret that continues the value above is none of the case's own secrets.
        if finding.says not in shown and not secret and mask_all(finding.says) == finding.says:
            yield f"garbles: {finding.says}"


def _around(text: str, secret: str) -> str:
    at = text.find(secret)
    return text[max(0, at - 60) : at + 30].replace("\n", "⏎")


def _of_single_patches(inputs: Inputs, report: AuditReport) -> Iterator[str]:
    """Every finding with changes: applied alone they correct it, and keep what a patch must keep."""
    texts = inputs.texts
    tried = [finding for finding in report.faults if finding.changes][:4]
    for finding in tried:
        after = inputs.with_texts(applied(texts, finding.changes))
        again = audited(after).findings
        where = f"the patch of {finding.rule} at {finding.file}:{finding.line}"
        if any((f.rule, f.file, f.says) == (finding.rule, finding.file, finding.says) for f in again):
            yield f"{where} does not correct it"
        faults = (*_of_texts(inputs, after), *_new_findings(report.faults, again))
        yield from (f"{where} {fault}" for fault in faults)


def _of_the_patch(before: Inputs, after: Inputs) -> Iterator[str]:
    yield from (f"the whole patch {fault}" for fault in _of_texts(before, after))
    if bool(patch(before, after)) != (before != after):
        yield "the patch is not what changed"


def _new_findings(before: Sequence[Finding], after: Sequence[Finding]) -> Iterator[str]:
    olds = Counter(finding.rule for finding in before)
    news = Counter(finding.rule for finding in after)
    yield from (f"makes new findings of {rule}" for rule in news if news[rule] > olds[rule])


_SERVER = re.compile(r"^[ \t]*(server|server-template)[ \t]+(\S+)[ \t]+(\S+)", re.MULTILINE)
_BIND = re.compile(
    r"^[ \t]*(?:bind|(?:listen|frontend)[ \t]+\S+(?![ \t]+from\b))[ \t]+([^\s#]+)", re.MULTILINE
)
_NAME = re.compile(r"^(host|hostname|processname)\s*[=:]\s*(\S+)", re.MULTILINE)
_PLACE = re.compile(r"\d+\.\d+\.\d+\.\d+|(?<![\w/])/(?!healthcheck)\w[\w/.-]+")


def _of_texts(before: Inputs, after: Inputs) -> Iterator[str]:
    """What the texts alone show, read in the simplest way."""
    olds, news = before.texts, after.texts
    everything = "\n".join(olds.values())
    for name, old in ((name, text) for _, files in before.proxies for name, text in files):
        new = news[name]
        servers = Counter(_SERVER.findall(new)) - Counter(_SERVER.findall(old))
        if lost := Counter(_SERVER.findall(old)) - Counter(_SERVER.findall(new)):
            yield f"removes server {list(lost)}"
        for _, server, address in servers:
            host = address.rpartition(":")[0].strip("[]")
            if host not in everything or re.search(rf"server\s+\S+\s+{re.escape(address)}\b", old):
                yield f"adds server {server} {address}"
        if len(_BIND.findall(old)) != len(_BIND.findall(new)):
            yield "adds or removes a bind"
    for name, old in olds.items():
        new = news[name]
        added = Counter(new.splitlines()) - Counter(old.splitlines())
        words = {word for line in added for word in _PLACE.findall(line)}
        yield from (f"invents {word}" for word in words if word not in everything)
        if "\r\n" in old and old.count("\n") == old.count("\r\n") and new.count("\n") != new.count("\r\n"):
            yield "mixes line ends"
    before_names = Counter(pair for text in olds.values() for pair in set(_NAME.findall(text)))
    after_names = Counter(pair for text in news.values() for pair in set(_NAME.findall(text)))
    yield from (
        f"gives two files one {pair}"
        for pair in after_names
        if after_names[pair] > max(1, before_names[pair])
    )
