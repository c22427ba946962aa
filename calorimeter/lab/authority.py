"""The certificate authority of this user's labs: made once, kept in the state folder, remade in time.

Clients trust it only where a deployment file or clouds.yaml names it: it is never added to the system's
authorities. Its certificate permits loopback and the namespaces' networks only, so that a stolen key is of
no use for any other host.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from calorimeter.core import files, paths
from calorimeter.core.errors import InputError
from calorimeter.core.host import ownership
from calorimeter.lab import lock
from calorimeter.lab.tls_files import DOMAIN, server_name

VALID = timedelta(days=365)
SERVER_VALID = timedelta(days=30)
REMADE_BEFORE = timedelta(days=60)
"""Time left at which the authority is remade; longer than a server's certificate is valid, so that none
outlives the authority that signed it."""

BEFORE = timedelta(hours=1)
"""How long ago certificates began to be valid: a virtual machine's clock may be set back."""

NETWORKS = ("127.0.0.0/8", "::1/128", "10.0.0.0/8")
"""Networks of the servers that it may vouch for: loopback, and the hosts of labs with namespaces."""

REMEDY = "remove it: `calorimeter lab up` makes another"

_NAMES = ("localhost", DOMAIN)


@dataclass(frozen=True, slots=True)
class Authority:
    """The authority's certificate and key; `made` is whether they are new, `expires` when they end."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    made: bool = False

    @property
    def expires(self) -> datetime:
        """When its certificate ends; it is remade `REMADE_BEFORE` that."""
        return self.certificate.not_valid_after_utc

    @property
    def pem(self) -> bytes:
        """Its certificate, which clients verify with."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A server's certificate and its private key, as PEM."""

    certificate: bytes
    key: bytes


def own(now: datetime | None = None) -> Authority:
    """This user's authority: as it is kept, or made if there is none or it ends soon.

    One process makes it while others wait. Raises `InputError` if its file is damaged, is not this user's
    own, or can be read by others.
    """
    now = now or datetime.now(UTC)
    folder = files.make_folder(paths.state() / "authority")
    ownership.own(folder)
    path = folder / "authority.pem"
    with lock.held(folder, 30, "the labs' certificate authority"):
        kept = _read(path)
        if kept is not None and kept.expires - now > REMADE_BEFORE:
            return kept
        made = _make(now)
        # One file, so that key and certificate always belong to each other.
        files.write(path, _pem(made.key) + made.pem, mode=files.PRIVATE)
        return made


def issue(
    authority: Authority, lab: str, addresses: Iterable[str], now: datetime | None = None
) -> ServerCertificate:
    """A certificate for the servers of a lab: loopback, `addresses`, localhost and the lab's own name."""
    now = now or datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    hosts = [ip_address(each) for each in dict.fromkeys(("127.0.0.1", *addresses))]
    names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.DNSName(server_name(lab))]
    builder = _builder(server_name(lab), key.public_key(), authority.certificate.subject, now, SERVER_VALID)
    for extension, critical in (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(digital_signature=True), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectAlternativeName([*names, *map(x509.IPAddress, hosts)]), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), False),
    ):
        builder = builder.add_extension(extension, critical)
    certificate = builder.sign(authority.key, hashes.SHA256())
    return ServerCertificate(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))


def _make(now: datetime) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    # The time in the name tells a remade authority from the one before.
    subject = f"Calorimeter labs {now:%Y-%m-%d %H:%M:%S}"
    builder = _builder(subject, key.public_key(), _name(subject), now, VALID)
    permitted: list[x509.GeneralName] = [x509.DNSName(name) for name in _NAMES]
    permitted += [x509.IPAddress(ip_network(network)) for network in NETWORKS]
    for extension, critical in (
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (_usage(key_cert_sign=True), True),
        (x509.NameConstraints(permitted, None), True),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False),
    ):
        builder = builder.add_extension(extension, critical)
    return Authority(builder.sign(key, hashes.SHA256()), key, made=True)


def _builder(
    subject: str, key: ec.EllipticCurvePublicKey, issuer: x509.Name, now: datetime, valid: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BEFORE)
        .not_valid_after(now + valid)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _read(path: Path) -> Authority | None:
    """The authority that is kept; None if there is none."""
    if not path.exists():
        return None
    ownership.own(path)
    ownership.require_private(path)
    content = files.read(path, limit=2**16)
    try:
        key = serialization.load_pem_private_key(content, None)
        certificate = x509.load_pem_x509_certificate(content)
    except (ValueError, TypeError) as problem:
        raise InputError(str(path), "is damaged", REMEDY) from problem
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise InputError(str(path), "holds a key of another certificate", REMEDY)
    return Authority(certificate, key)
