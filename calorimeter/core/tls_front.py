"""Whether an https front can be used: its certificate, the names in it, and its version of TLS.

OpenSSL says in one code why it does not trust a certificate. The certificate itself is then read without
trusting it, to say what is in it.
"""

from __future__ import annotations

import socket
import ssl
import warnings
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from calorimeter.core.deployment import Address, Tls
from calorimeter.core.errors import InputError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

HANDSHAKE_S = 5.0
MOST_NAMES = 5

NOT_YET, EXPIRED = 9, 10
OTHER_NAME = (62, 64)
"""OpenSSL's codes (`openssl verify`, X509_V_ERR_…): the DNS name, the IP address."""

_VERSIONS = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)


def check(where: str, url: str, at: Address, tls: Tls) -> None:
    """Make one TLS handshake with a front as clients do.

    Raises InputError that says what is wrong with the front's TLS; nothing if it cannot be connected to.
    """
    context = verifying(tls)
    try:
        _handshake(at, context).close()
    except ssl.SSLCertVerificationError as problem:
        raise _untrusted(where, url, at, problem) from problem
    except ssl.SSLError as problem:
        raise _no_handshake(where, url, at, problem) from problem
    except OSError:
        return


def verifying(tls: Tls) -> ssl.SSLContext:
    """How a server that speaks TLS is verified. Raises InputError if `ca_file` cannot be used."""
    try:
        context = ssl.create_default_context(cadata=tls.authorities())
    except ssl.SSLError as problem:
        raise InputError(
            f"tls.ca_file {tls.ca_file}", f"cannot be used ({problem})", "valid: certificates in PEM"
        ) from problem
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _handshake(at: Address, context: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection((at.host, at.port), HANDSHAKE_S)
    try:
        return context.wrap_socket(plain, server_hostname=at.host)
    except BaseException:
        plain.close()
        raise


def _untrusted(where: str, url: str, at: Address, problem: ssl.SSLCertVerificationError) -> InputError:
    shown = _certificate(at)
    if shown is None:
        return InputError(where, f"the certificate of {url} is not trusted ({problem.verify_message})")
    now, begins, ends = datetime.now(UTC), shown.not_valid_before_utc, shown.not_valid_after_utc
    valid = f"valid: one that is valid now ({_moment(now)})"
    if problem.verify_code == EXPIRED:
        what = f"expired on {_moment(ends)}" if ends < now else "is good, but one in its chain has expired"
        return InputError(where, f"the certificate of {url} {what}", valid)
    if problem.verify_code == NOT_YET:
        what = (
            f"begins on {_moment(begins)}"
            if begins > now
            else "is good, but one in its chain has not begun"
        )
        return InputError(where, f"the certificate of {url} {what}", valid)
    if problem.verify_code in OTHER_NAME:
        names = list(_names(shown)) or ["no name"]
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        return InputError(
            where,
            f"the certificate of {url} is for {', '.join(names[:MOST_NAMES])}{more}, not for {at.host}",
            "valid: a certificate with the name or address in the URL",
        )
    return InputError(
        where,
        f"the certificate of {url} is issued by {_issuer(shown)}, who is not trusted here "
        f"({problem.verify_message})",
        "valid: [tls] ca_file with the certificate of the authority that issued it",
    )


def _no_handshake(where: str, url: str, at: Address, problem: ssl.SSLError) -> InputError:
    for version in reversed(_VERSIONS):
        if (spoken := _speaks(at, version)) is not None:
            return InputError(where, f"{url} speaks {spoken} at most", "valid: TLS 1.2 or later")
    why = (problem.reason or str(problem)).replace("_", " ").lower()
    return InputError(
        where, f"{url} does not speak TLS ({why})", "valid: an https front, or http:// in the URL"
    )


def _unverified(least: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """A context that looks and sends nothing: it trusts everybody."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if least is not None:
        # OpenSSL 3 signs the handshake of TLS 1.0 and 1.1 at its security level 0 alone.
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        with warnings.catch_warnings():  # that they are deprecated is what users are told
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = least
    return context


def _speaks(at: Address, version: ssl.TLSVersion) -> str | None:
    with suppress(OSError), _handshake(at, _unverified(version)) as connection:
        return (connection.version() or "").replace("TLSv1.1", "TLS 1.1").replace("TLSv1", "TLS 1.0")
    return None


def _certificate(at: Address) -> Certificate | None:
    """The certificate that the front shows; None if it shows none, or one that cannot be read."""
    from cryptography import x509

    with suppress(OSError, ValueError), _handshake(at, _unverified()) as connection:
        if encoded := connection.getpeercert(binary_form=True):
            return x509.load_der_x509_certificate(encoded)
    return None


def _names(certificate: Certificate) -> Iterator[str]:
    """The DNS names and addresses that a certificate is for."""
    from cryptography import x509

    with suppress(x509.ExtensionNotFound, ValueError):
        for name in certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value:
            if isinstance(name, x509.DNSName | x509.IPAddress):
                yield str(name.value)


def _issuer(certificate: Certificate) -> str:
    return certificate.issuer.rfc4514_string() or "nobody"


def _moment(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC"
