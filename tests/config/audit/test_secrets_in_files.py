"""Secrets are found wherever a file has them, and masked in every form."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from calorimeter.config.audit import HeatFiles, Inputs
from calorimeter.config.audit.secrets_in_files import secrets_hidden, secrets_in
from calorimeter.core.errors import InputError
from calorimeter.core.secrecy.masking import MASK, SecretValues, secret_values

WORD = "hunter2-Zx91"


def heat(text: str) -> SecretValues:
    """The secrets of a Heat file."""
    return secrets_in(Inputs(heat=(HeatFiles("B", (("b.conf", text),)),)))


def proxy(text: str, **environment: str) -> SecretValues:
    """The secrets of a proxy's file."""
    return secrets_in(Inputs(proxies=(("proxy", (("p.cfg", text),)),), environment=environment))


@pytest.mark.parametrize(
    "text",
    [
        f"transport_url = rabbit://heat:{WORD}@h:5672/v",
        f"transport_url: rabbit://a:x@h:5672,heat:{WORD}@i:5672/v",
        f"transport_url = rabbit://a:x@h:5672,\n    heat:{WORD}@i:5672/v",
        f"transport_url = rabbit://\n  heat:{WORD}@i:5672/v",
        f"transport_url = rabbit://h/v\n  # old: rabbit://heat:{WORD}@h/v",
        f"transport_url = rabbit://heat:$word@h/v\nword = {WORD}",
        f"#connection = mysql://heat:{WORD}@h/heat",
        f"connection = mysql://h/heat?user=x&password={WORD}",
        f"; see http://x:{WORD}@h/",
        f"rabbit_password = {WORD}",
        f"rabbit_password =\n   {WORD}",
        f"workers = 4\n  rabbit_password = {WORD}",
        f"workers = 4\nhttp-check send hdr Authorization {WORD}",
        f'#  password="{WORD}"',
        f"auth_encryption_key: {WORD}",
        f"auth_encryption_ky = {WORD}",
        f"#pasword = {WORD}",
        f"stack_domain_admin_pasword = {WORD}",
        f"memcache_secert_key = {WORD}",
        f"application_credential_secret={WORD}",
        f"admin_token = {WORD}",
        f"memcache_secret_key = {WORD}\r",
    ],
)
def test_secrets_of_heat_files_are_found(text: str) -> None:
    """In URLs, in options by their names, in continued values, in options they refer to, in comments."""
    assert MASK in heat(text).hide(f"it is {WORD} here")
    assert "hunter" not in heat(text).hide(f"it is {WORD} here")


@pytest.mark.parametrize(
    "text",
    [
        f"stats auth op:{WORD}",
        f'  stats auth "op:{WORD}"',
        f"  # stats auth op:{WORD}",
        f"userlist x\n user op insecure-password {WORD} groups g",
        f"userlist x\n user op password {WORD}",
        f"global\n setenv STATS_PASSWORD {WORD}",
        f'global\n presetenv API_KEY "{WORD}"',
        f"http-request set-header X-Auth-Token {WORD} if {{ src 10.0.0.1 }}",
        f"http-request add-header Authorization 'Bearer {WORD}'",
        f"acl ok hdr(Authorization) -m str {WORD}",
        f"http-check send meth GET uri / hdr Authorization {WORD}",
        f"option httpchk GET / HTTP/1.1\\r\\nAuthorization:\\ Bearer\\ {WORD}",
        "http-request set-header Authorization 'Basic b3A6aHVudGVyMi1aeDkx'",
        f"server x h:1 # http://op:{WORD}@h/",
        f"transport_url = rabbit://\n  heat:{WORD}@i:5672/v",
    ],
)
def test_secrets_of_proxy_files_are_found(text: str) -> None:
    """Of stats pages, users, variables and headers, quoted or not, and in comments."""
    assert "hunter" not in proxy(text).hide(f"it is {WORD} here")


def test_secrets_of_variables_are_found() -> None:
    """A variable with the name of a secret is one: HAProxy puts it into its lines."""
    assert (
        proxy("listen x", STATS_PASSWORD=WORD, LANG="C.UTF-8").hide(f"{WORD} C.UTF-8") == f"{MASK} C.UTF-8"
    )


_PASSWORDS = st.text(
    st.characters(codec="utf-8", exclude_characters="\n\r", min_codepoint=33), min_size=8, max_size=20
)
FORMS: tuple[Callable[[str], str], ...] = (
    str,
    quote,
    lambda text: quote(text, safe=""),
    quote_plus,
    lambda text: quote(text, safe="").lower() if text.lower() == text else text,
    html.escape,
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: text.replace("$", "$$"),
    lambda text: "".join(f"\\{char}" if char in " \"'#\\" else char for char in text),
)


@settings(max_examples=100)
@given(_PASSWORDS, st.sampled_from(FORMS))
@example("0000000\\", str)
@example("000000\\\x7f", FORMS[6])
@example("\\a000000", quote)
@example("\\\\000000\\\\", FORMS[6])
def test_a_value_is_masked_in_every_form(password: str, form: Callable[[str], str]) -> None:
    """Quoted for a URL, a file, HTML or JSON, a value is replaced, and the text around it stays."""
    shown = secret_values([password]).hide(f"before [{form(password)}] after")
    assert shown == f"before [{MASK}] after"


def test_ordinary_words_do_not_garble_a_report() -> None:
    """A password that is a word of the files is masked in sentences about a secret, and nowhere else."""
    secrets = heat("transport_url = rabbit://heat:heat@heat.example.com/heat\nrabbit_password = guest\n")
    assert secrets.hide("B: its database differs on heat.example.com") == (
        "B: its database differs on heat.example.com"
    )
    assert secrets.hide_in_sentence("rabbit_password is guest, but heat on n2") == (
        f"rabbit_password is {MASK}, but {MASK} on n2"
    )
    assert secrets.hide("rabbit://heat:heat@h") == f"rabbit://heat:{MASK}@h"
    assert "guest" not in repr(secrets)


def test_hosts_and_users_are_no_secrets() -> None:
    """Of a URL with several hosts only the passwords are masked; prose with an address has none."""
    secrets = heat(
        f"transport_url = rabbit://rabbit-user:{WORD}@ctl00.localdomain,rabbit-user:{WORD}@ctl01:5672/v"
    )
    assert heat("# see http://docs:80/heat or mail somebody@there").hide("somebody") == "somebody"
    assert secrets.hide("rabbit-user at ctl00.localdomain:5672") == "rabbit-user at ctl00.localdomain:5672"


def test_short_values_are_masked_as_words_only() -> None:
    """A short password is not taken for a part of another word."""
    assert (
        secret_values(["pw42x"]).hide("pw42x apw42x pw42x, %3Apw42x%40")
        == f"{MASK} apw42x {MASK}, %3A{MASK}%40"
    )


def test_messages_about_bad_input_have_no_secret() -> None:
    """An InputError about the files is raised with their secrets masked, and without its cause."""
    inputs = Inputs(heat=(HeatFiles("B", (("b.conf", f"rabbit_password = {WORD}"),)),))
    with pytest.raises(InputError) as caught, secrets_hidden(inputs):
        try:
            raise ValueError(WORD)
        except ValueError as problem:
            raise InputError("b.conf", f"{WORD!r} given", "valid: a word", WORD) from problem
    assert str(caught.value) == f"b.conf: '{MASK}' given; valid: a word; did you mean '{MASK}'?"
    assert caught.value.__cause__ is None


def test_a_statement_of_haproxy_continues_no_password() -> None:
    """A Heat option above a section's lines is a secret; what the lines below it say is none."""
    text = "password = tok3n-one\n  option redispatch\nlisten heat_api\n  bind 10.0.0.1:8004\n"
    secrets = secrets_in(Inputs(proxies=(("proxy", (("p.cfg", text),)),)))
    assert secrets.hide("heat_api: has no option redispatch") == "heat_api: has no option redispatch"
    assert "tok3n-one" not in secrets.hide(text)
