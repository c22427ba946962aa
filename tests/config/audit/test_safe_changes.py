"""Patches: what is offered, what is refused, and that `patch -p1` applies them."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from calorimeter.config import audit
from calorimeter.config.audit import HeatFiles, Inputs
from calorimeter.config.audit.model import Change, Finding, Severity
from calorimeter.config.audit.patches import safe_changes
from calorimeter.config.audit.patches.changes import set_option
from calorimeter.config.audit.patches.edited_text import applied, changes_of, diff
from calorimeter.config.heat import heat_conf
from tests.config.audit import clean
from tests.config.audit.clean import edited

PROXY = "apis-proxy.conf"
FAULTY = edited("proxy", "default-server check inter", "default-server inter")


def tried(*changes: Change, before: Inputs = FAULTY, where: str = "rest_api_proxy") -> bool:
    """Whether changes that correct A6-no-check are safe; they are made beside those that do it."""
    found = safe_changes.audited(before)
    (real,) = (finding for finding in found.findings if finding.rule == "A6-no-check")
    finding = real.model_copy(update={"changes": (*real.changes, *changes), "where": where})
    return safe_changes.tried(found, [finding]) is not None


def line(text: str, file: str = PROXY, inputs: Inputs = FAULTY) -> int:
    """The number of the first line of a file with a text."""
    lines = inputs.texts[file].split("\n")
    return next(number for number, each in enumerate(lines, start=1) if text in each)


def put(before: str, *lines: str, file: str = PROXY, instead: bool = False) -> Change:
    """Put lines before the first line with a text, or in its place."""
    return Change(file, line(before, file), int(instead), lines)


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        (put("option tcpka", "    # a comment"), "nothing"),
        (put("server rest-1", instead=True), "a server is lost"),
        (put("server rest-1", "    server rest-1 10.0.0.9:8004", instead=True), "its address is invented"),
        (put("server cfn-1", "    server rest-3 10.0.0.2:8004"), "it serves the other API's section"),
        (put("bind 10.0.0.1:8004", instead=True), "a bind is lost"),
        (put("bind 10.0.0.1:8004", "    bind 10.0.0.1:8005"), "a bind is invented"),
        (put("listen cfn_api_proxy", instead=True), "a section is lost"),
        (put("listen cfn_api_proxy", "listen rest_api_proxy"), "a section is doubled"),
        (put("timeout client", "    timeout client 80s", instead=True), "another section changes"),
        (put("mode tcp", "    errorfile 503 /etc/haproxy/503.http"), "a path is invented"),
        (put("mode tcp", "    log 10.1.1.1:514 local0"), "an address is invented"),
        (put("balance source", '    acl x path "y'), "a line becomes unreadable"),
        (put("balance source", "    balance source"), "a statement is said twice"),
        (put("balance source", "    option httplog"), "two log formats"),
        (put("balance source", "    weird", "frontend x"), "lines move to another section"),
        (put("balance source", ".if 0"), "lines are switched off"),
        (put("[database]", "max_stacks_per_tenant = 5", file="heat-b.conf"), "nothing"),
        (put("[database]", " continued", file="heat-b.conf"), "another option changes"),
        (put("[database]", "nonsense", file="heat-b.conf"), "a line becomes unreadable"),
        (put("[database]", "[other]", file="heat-b.conf"), "nothing"),
        (put("connection =", "[other]", file="heat-b.conf"), "an option moves to another group"),
        (put("[database]", "num_engine_workers = 2", file="heat-b.conf"), "an option is set twice"),
        (
            put("bind_host", "bind_host = 10.0.0.3", file="heat-b.conf", instead=True),
            "two APIs, one address",
        ),
        (put("[database]", "ca = /etc/ssl/ca.pem", file="heat-b.conf"), "a path is invented"),
    ],
)
def test_a_patch_keeps_what_it_must(change: Change, broken: str) -> None:
    """A change is refused if it breaks something beside what it corrects."""
    assert tried(change) == (broken == "nothing"), broken


@pytest.mark.parametrize("option", ["host", "hostname", "processname"])
def test_two_processes_keep_their_names(option: str) -> None:
    """No patch gives one process the name of another, in any of the options that name it."""
    before = FAULTY.with_texts(
        {
            f"heat-{host}.conf": FAULTY.texts[f"heat-{host}.conf"].replace(
                "[DEFAULT]", f"[DEFAULT]\n{option} = {host}"
            )
            for host in "bc"
        }
    )
    number = line(f"{option} = c", "heat-c.conf", before)
    assert not tried(Change("heat-c.conf", number, 1, (f"{option} = b",)), before=before)
    assert tried(Change("heat-c.conf", number, 1, (f"{option} = d",)), before=before)


def test_a_change_takes_along_the_change_that_it_makes_necessary() -> None:
    """New checks are too slow with the old timeout: the patch that adds them also shortens it."""
    before = FAULTY.with_texts(
        {PROXY: FAULTY.texts[PROXY].replace("timeout check 2s", "timeout check 10s")}
    )
    before = before.with_texts(
        {PROXY: before.texts[PROXY].replace("default-server check", "default-server")}
    )
    found = audit.audit(before).faults
    assert {finding.rule for finding in found} == {"A6-no-check"}
    assert all("timeout check 2s" in finding.diff for finding in found)
    assert audit.audit(audit.corrected(before)).faults == ()


def test_what_is_inherited_is_changed_only_for_heat() -> None:
    """A timeout of `defaults` that another service has, too, is set in Heat's own sections instead."""
    other = "\nlisten keystone\n    bind 10.0.0.1:5000\n    server k 10.0.0.2:5000 check\n"
    text = clean.PROXY.replace("timeout server 70s", "timeout server 1m") + other
    after = audit.corrected(clean.inputs(text)).texts[PROXY]
    assert after == text.replace(
        "\n    bind 10.0.0.1:800", "\n    timeout server 70s\n    bind 10.0.0.1:800"
    )


def test_sleeping_check_rules_are_not_put_in_force() -> None:
    """Where HAProxy ignores `http-check` rules, no patch adds the option that puts them in force."""
    text = clean.PROXY.replace(
        "    option httpchk GET /healthcheck\n", "    http-check expect status 200\n", 1
    )
    assert (
        "option httpchk" not in audit.corrected(clean.inputs(text)).texts[PROXY].partition("listen cfn")[0]
    )


def test_a_finding_that_a_patch_cannot_correct_alone_has_none() -> None:
    """A change after which its rule finds as much is refused."""
    found = safe_changes.audited(FAULTY)
    useless = put("option tcpka", "    # check")
    (finding,) = (each.model_copy(update={"changes": (useless,)}) for each in found.findings)
    assert safe_changes.tried(found, [finding]) is None


def test_a_waived_finding_is_not_corrected() -> None:
    """What the owner accepts, by rule or by gate, has no diff and is not in the patch."""
    for name in ("A6", "A6-no-check"):
        (finding,) = audit.audit(FAULTY, {name: "checked elsewhere"}).faults
        assert (finding.diff, finding.changes) == ("", ())
        assert audit.corrected(FAULTY, {name: "checked elsewhere"}) == FAULTY


def test_competing_findings_of_one_place_stay_apart() -> None:
    """Two findings that put different lines at one place are not merged into one with both lines."""
    one, two, three = (
        Finding(rule="A1-x", severity=Severity.NOTE, file="f", line=1, says="", follows="",
                changes=(Change("f", 1, 0, (text,)),))
        for text in ("a", "b", "a")
    )  # fmt: skip
    assert one.competes(two)
    assert not one.competes(three)


def heat(text: str) -> Inputs:
    """A Heat file on two hosts: the second has no workers and another database."""
    return Inputs(
        heat=(HeatFiles("B", (("b.conf", clean.heat("10.0.0.2")),)), HeatFiles("C", (("c.conf", text),)))
    )


ODD = (
    clean.heat("10.0.0.3")
    .replace("num_engine_workers = 2\n", "")
    .replace("db-pw@10.0.0.1", "db-pw@10.0.0.7")
)


@pytest.mark.parametrize(
    "text",
    [
        ODD,
        ODD.replace("\n", "\r\n"),
        ODD.rstrip("\n"),
        ODD.replace("\n", "\r\n").rstrip("\r\n"),
        ODD.replace("[database]", "# caf\udce9 \x0c \x85 \u2028\n[database]"),
        ODD.replace("connection =", "connection =\n  "),
        ODD.replace("@10.0.0.7/heat", "@10.0.0.7/heat\n   # continued"),
        ODD.replace("[DEFAULT]", "[default]\nx = y\n[DEFAULT]"),
        ODD.partition("[heat_api]")[0].replace("[DEFAULT]\n", "").rstrip("\n"),
    ],
)
def test_the_patch_program_applies_a_patch(text: str, tmp_path: Path) -> None:
    """`patch -p1` gives the corrected files, whatever line ends, encoding and end of file are."""
    before = heat(text)
    after = audit.corrected(before)
    for name, old in before.texts.items():
        (tmp_path / name).write_bytes(old.encode("utf-8", "surrogateescape"))
    written = audit.patch(before, after).encode("utf-8", "surrogateescape")
    try:
        subprocess.run(["patch", "-p1", "--no-backup-if-mismatch"], cwd=tmp_path, input=written, check=True)
    except FileNotFoundError:
        pytest.skip("needs the patch program")
    for name, new in after.texts.items():
        assert (tmp_path / name).read_bytes() == new.encode("utf-8", "surrogateescape")
        assert ("\r\n" in new) == ("\r\n" in before.texts[name])
        assert new.count("\r") in (0, new.count("\n"), new.count("\n") + 1)


@pytest.mark.parametrize("name", ["my file.cfg", 'a"b.cfg', "caf\udce9.cfg", "a\\b.cfg", "tab\there"])
def test_the_patch_program_finds_files_with_odd_names(name: str, tmp_path: Path) -> None:
    """A file name with blanks, quotes or control characters is written as `patch` reads it."""
    file = tmp_path / name.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    file.write_text("a\nb\n")
    written = diff(name, "a\nb\n", "a\nc\n").encode("utf-8", "surrogateescape")
    subprocess.run(["patch", "-p1"], cwd=tmp_path, input=written, check=True)
    assert file.read_text() == "a\nc\n"


def test_changes_of_two_texts_make_one_of_the_other() -> None:
    """The changes between two texts, applied to the first, give the second."""
    for old, new in (
        ("a\nb\nc\n", "a\nx\nc\nd\n"),
        ("", "a\n"),
        ("a\n", ""),
        ("a\nb", "a\nc"),
        ("a\r\n", "b\r\n"),
    ):
        assert applied({"f": old}, changes_of("f", old, new)) == {"f": new}


def test_line_ends_of_a_file_without_a_last_one() -> None:
    """Lines put before an unended last line, or after it, have the line end of the file."""
    before, after = Change("f", 2, 0, ("x",)), Change("f", 3, 0, ("y",))
    assert applied({"f": "a\r\nb"}, [before]) == {"f": "a\r\nx\r\nb"}
    assert applied({"f": "a\r\nb"}, [after]) == {"f": "a\r\nb\r\ny\r\n"}
    assert applied({"f": "a\nb"}, [before, after]) == {"f": "a\nx\nb\ny\n"}
    assert applied({"f": "a\nb"}, [Change("f", 2, 1, ("c",))]) == {"f": "a\nc"}


def test_a_frontend_and_a_backend_of_one_name_get_what_each_of_them_reads() -> None:
    """A timeout of servers goes into the backend only, and a log format into the frontend only."""
    head, _, _ = clean.PROXY.partition("listen rest_api_proxy")
    head = head.replace("timeout server 70s", "timeout server 1m").replace("    option tcplog\n", "")
    front = "frontend heat\n    bind 10.0.0.1:8004\n    option clitcpka\n    default_backend heat\n"
    back = "backend heat\n    balance source\n    hash-type consistent\n    option srvtcpka\n"
    back += (
        "    option httpchk GET /healthcheck\n    default-server check on-marked-down shutdown-sessions\n"
    )
    back += "    server a 10.0.0.2:8004 maxconn 9\n    server b 10.0.0.3:8004 maxconn 9\n"
    other = "listen other\n    bind :80\n    log-format %ci\n    server c 10.0.0.2:80\n"
    after = audit.corrected(Inputs((("proxy", (("p.cfg", head + front + back + other),)),))).texts["p.cfg"]
    front = front.replace("    bind", "    option tcplog\n    bind")
    assert after == head + front + back.replace("    bal", "    timeout server 70s\n    bal", 1) + other


def test_values_of_several_lines_and_with_outer_blanks_are_set_as_they_are() -> None:
    """Further lines of a value are indented, outer blanks quoted: oslo.config reads it as it was."""
    conf = heat_conf.parse("B", ("b.conf", "[DEFAULT]\nkey = old\n   and more\nother = 1\n"))
    for value in ("a,\nb", " a ", '"a"', "'", "a"):
        text = applied({"b.conf": conf.options.files[0].text}, [set_option(conf, "DEFAULT", "key", value)])
        after = heat_conf.parse("B", ("b.conf", text["b.conf"]))
        read = after.get("key")
        assert read is not None
        assert read.entry.raw == value
        assert text["b.conf"].endswith("\nother = 1\n")


@pytest.mark.slow
def test_changes_of_a_hundred_files_are_tried_in_two_seconds() -> None:
    """With 100 Heat files, a change in each, and one that is not safe, the work is bounded."""
    texts = [
        clean.heat(f"10.0.1.{n}").replace("[database]", "rpc_backend = x\n[database]") for n in range(100)
    ]
    texts[7] += "[DEFAULT]\n    loose\n"
    heat_files = tuple(HeatFiles(f"H{n}", ((f"{n}.conf", text),)) for n, text in enumerate(texts))
    proxy = clean.PROXY.replace("check inter", "inter").replace("timeout check 2s", "timeout check 10s")
    for api, port in (("rest", 8004), ("cfn", 8000)):
        servers = "".join(f"    server {api}-{n + 3} 10.0.1.{n}:{port}\n" for n in range(100))
        proxy = proxy.replace(f"    server {api}-1", f"{servers}    server {api}-1")
        proxy = proxy.replace(
            f"    server {api}-1 10.0.0.2:{port}\n    server {api}-2 10.0.0.3:{port}\n", ""
        )
    started = time.process_time()
    found = audit.audit(Inputs((("proxy", ((PROXY, proxy),)),), heat_files)).faults
    assert time.process_time() - started < 2.0
    assert sum(bool(finding.diff) for finding in found) > 90


def test_a_password_that_is_not_utf8_is_moved_as_it_is() -> None:
    """Old options with bytes that are not UTF-8 become a transport_url with the same bytes, quoted."""
    text = clean.heat("10.0.0.2").replace(
        "transport_url = rabbit://heat:broker-pw@10.0.0.1:5672/", "rabbit_host = h"
    )
    text = text.replace(
        "rabbit_host = h", "rabbit_host = h\nrabbit_userid = u\nrabbit_password = caf\udce9x1"
    )
    after = audit.corrected(Inputs(heat=(HeatFiles("B", (("b.conf", text),)),))).texts["b.conf"]
    assert "transport_url = rabbit://u:caf%E9x1@h:5672/\n" in after
