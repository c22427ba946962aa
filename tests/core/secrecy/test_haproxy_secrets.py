"""Secrets in HAProxy's configuration are found in every form that HAProxy accepts, and nothing else is."""

from __future__ import annotations

import time
from itertools import product
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.config.haproxy import program
from calorimeter.core.secrecy import haproxy_secrets, haproxy_words, masking
from calorimeter.core.secrecy.masking import MASK
from tests.core.secrecy import haproxy_secret_forms as forms

AROUND = ("{}", "# {}", "  ## {}", "  bind :80 # it's the old one: {}", "  maxconn 5 #{} # why")


def copied(text: str) -> str:
    """The copy that a run folder keeps."""
    return masking.of_proxies([text]).hide_lines(text)


@pytest.mark.parametrize("number", range(len(forms.FORMS)))
def test_a_secret_is_masked_in_every_form(number: int) -> None:
    """However it is quoted, active or commented out, as it is or in base64 or hexadecimal."""
    rng = Random(number)
    for way, around in [*product(forms.WAYS, AROUND[:2]), *product(forms.WAYS[:1], AROUND[2:])]:
        if "'" in around and way in (forms.in_pieces, forms.in_hexadecimal):
            continue  # HAProxy would not read that statement either
        secret = new_secret(rng)
        words = forms.FORMS[number][1](secret)
        text = around.format(forms.line(words, way, rng))
        copy = copied(f"{text}\n  # they said {secret} and {forms.basic(secret)}\n")
        kept = haproxy_words.split(copy.split("\n")[0], {}).words if around == "{}" else ()
        for shown in (copy, " ".join(kept)):
            assert secret not in shown, text
            assert forms.basic(secret).rstrip("=") not in shown, text
            assert secret.encode().hex() not in shown, text
        assert len(kept) in (0, len(words))
        for before, after in zip(words, kept, strict=False):
            assert before == after or MASK in after, text


def new_secret(rng: Random) -> str:
    """A secret that is no ordinary word."""
    return rng.choice("bcdf2") + "".join(rng.choices("bcdfghjkmnpqrstvwxz2456789-_.~", k=12)) + "7x9"


@pytest.mark.slow
@pytest.mark.parametrize("way", forms.WAYS)
def test_haproxy_accepts_the_forms_and_their_copy_is_as_long(tmp_path: Path, way: forms.Way) -> None:
    """`haproxy -c` reads every form; the masked copy has the same statements, in HAProxy's own words."""
    text = forms.configuration("pw9x-hunter2x", way, Random(3))
    file = tmp_path / "f.cfg"
    file.write_text(text)
    # HAProxy 3.0 takes no headers hidden in the version of `option httpchk`; older files have them.
    refused = [m for m in program.messages([file]) or () if m.fatal]
    assert [m for m in refused if "hiding headers or body" not in m.text] == []
    copy = copied(text)
    assert "hunter2x" not in copy
    pairs = zip(text.split("\n"), copy.split("\n"), strict=True)
    for before, after in (
        (haproxy_words.split(a, {}).words, haproxy_words.split(b, {}).words) for a, b in pairs
    ):
        assert len(before) == len(after)
        assert before[:1] == after[:1]


@pytest.mark.parametrize(
    "line",
    [
        "cookie SERVERID insert indirect nocache",
        "balance url_param token",
        "balance hdr(Authorization)",
        "stick on req.hdr(X-Auth-Token) table tokens",
        "stick-table type string len 64 size 1m",
        "acl has_token req.hdr(X-Auth-Token) -m found",
        "acl short req.hdr(X-Auth-Token),length -m int lt 10",
        "acl in_list req.hdr(X-Auth-Token) -f /etc/haproxy/tokens.lst",
        "acl path_auth path_beg /v3/auth/tokens",
        "http-request auth realm Heat if !ok",
        "http-request deny if !{ http_auth(users) }",
        "http-request del-header Authorization",
        "http-request set-header X-Forwarded-Proto https if { ssl_fc }",
        "http-request set-header X-Auth-Token %[req.hdr(X-Token)]",
        'http-request set-header Authorization "Bearer %[var(txn.token)]"',
        "http-request replace-header Cookie (.*)session=[^;]*(.*) \\1\\2",
        "http-response set-header Access-Control-Allow-Headers X-Auth-Token,Content-Type",
        "http-response set-header WWW-Authenticate 'Basic realm=\"heat\"'",
        "capture request header Authorization len 8",
        "bind :443 ssl crt /etc/haproxy/secret/key.pem ca-file /etc/ssl/ca.pem",
        "server token-1 token.example.com:8004 check inter 2s check-sni key.example.com",
        "server rest-1 10.0.0.1:8004 check cookie rest-1",
        "log 127.0.0.1:514 local0 notice",
        "email-alert from auth@example.com",
        "option mysql-check user haproxy",
        "option httpchk GET /healthcheck HTTP/1.1\\r\\nHost:\\ www.example.com",
        "tcp-check send PING\\r\\n",
        "tcp-check send-binary 50494e470d0a",
        "tcp-check expect string +OK",
        "use_backend keystone_auth if { path_beg /auth }",
        'stats auth "op:${STATS_PASSWORD}"',
        "# the password is in the vault, see https://docs:80/token",
        "# don't use a token here: it's slow",
        "setenv KEY_FILE /etc/haproxy/key.pem",
        "setenv AUTH_URL http://10.0.0.1:5000/v3",
        "# docker run -u 1000:1000 haproxy",
        "errorfile 401 /etc/haproxy/errors/401-auth.http",
    ],
)
def test_what_is_no_secret_stays_readable(line: str) -> None:
    """A copy full of masks says nothing: names, paths, expressions and references are kept."""
    assert copied(f"    {line}\n") == f"    {line}\n"


@pytest.mark.parametrize(
    "line",
    [
        r" option  httpchk  GET  /  HTTP/1.1\r\nAuthorization:\  Bearer\  nc2%m94vckb44",
        " http-request set-header Authorization nc2%m94vckb44",
        ' http-check send hdr "Authorization: " nc2%m94vckb44',
    ],
)
def test_a_value_after_more_blanks_or_with_a_percent_sign_is_hidden_whole(line: str) -> None:
    """Blanks after the name of a header are no value; `%` begins a variable only if HAProxy knows it."""
    assert copied(f"{line}\n") == line.replace("nc2%m94vckb44", "********") + "\n"


@pytest.mark.parametrize(
    "line",
    [
        'http-request set-header X-Env "${ADMIN_PW-sw0rdfish-9}"',
        "acl a http_auth_bearer,jwt_verify(str(HS256),'sw0rdfish-9')",
        "http-request set-var(txn.x) var(txn.jwe),jwt_decrypt_secret(sw0rdfish-9)",
        "# curl -u op:sw0rdfish-9 http://10.0.0.1:8004/",
        "command env DB_PASS=sw0rdfish-9 curl --user op:sw0rdfish-8 http://10.0.0.1/",
        'server a 10.0.0.1:8004 check agent-send "AUTH sw0rdfish-9\\n"',
    ],
)
def test_a_secret_of_an_expression_or_a_program_is_masked(line: str) -> None:
    """Nested functions, defaults of variables, and logins that a program is given."""
    assert "sw0rdfish" not in copied(f"  {line}\n")
    assert MASK in copied(f"  {line}\n")


def test_a_secret_is_hidden_where_it_is_used_and_where_it_is_set() -> None:
    """A variable of any name is a secret where a statement that needs one uses it."""
    text = (
        'global\n setenv X sw0rdfish-9\nlisten a\n stats auth "op:$X"\n stats auth "me:${Y-other-pw-1}"\n'
    )
    assert copied(text) == text.replace("sw0rdfish-9", MASK).replace("${Y-other-pw-1}", MASK)


def test_the_logins_of_a_header_are_hidden_by_both_of_their_forms() -> None:
    """A password is known from a header in base64, and the header's value from a password."""
    text = f"stats auth op:sw0rdfish\n# {forms.basic('sw0rdfish')} sw0rdfish sw0rd%66ish\n"
    assert copied(text) == f"stats auth op:{MASK}\n# {MASK} {MASK} {MASK}\n"
    header = f"http-check send hdr Authorization 'Basic {forms.basic('sw0rdfish')}' # op:sw0rdfish\n"
    assert "sw0rdfish" not in copied(header)


@given(st.text(st.sampled_from("ab \t\"'\\#$x4{}[]()*-é\0.:=@/&?%"), max_size=120))
@settings(max_examples=100)
def test_no_text_raises_and_nothing_but_secrets_is_lost(text: str) -> None:
    """Any text has a copy, with as many lines."""
    assert haproxy_secrets.masked(text).count("\n") == text.count("\n")


def test_variables_cannot_fill_the_memory() -> None:
    """A variable that holds the one before it twice grows up to a bound, and the line has a fault."""
    text = "global\n setenv A aaaaaaaa\n" + ' setenv A "$A$A"\n' * 64
    assert len(copied(text)) == len(text)
    assert haproxy_words.split('x "$A$A$A"', {"A": "a" * 9000}).fault is not None


LINES = (
    "x-key-",
    "password ",
    "://a:b@",
    " #'",
    "set-header token ",
    "{ http_auth_pass ",
    "\\",
    "${a-",
    "$$",
)


@pytest.mark.slow
@pytest.mark.parametrize("again", LINES)
def test_a_foreign_line_is_masked_in_linear_time(again: str) -> None:
    """Eight times the length takes about eight times as long; the square would be 64 times."""
    secret = masking.secret_values(["$" * 30 + "x", "'a b c d'", "x-key-x-key"])

    def seconds(length: int) -> float:
        line = (again * length)[:length] + "\0\n"
        started = time.process_time()
        secret.hide_lines(line)
        return time.process_time() - started

    # The least of several: on a busy machine the same work takes up to three times the CPU time.
    short, long = (min(seconds(length * 1024) for _ in range(3)) for length in (8, 64))
    assert long < 24 * short + 0.1
