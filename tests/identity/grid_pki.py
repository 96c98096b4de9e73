"""A small grid of the tests' own: authorities with signing policies and CRLs, users, hosts, proxies, a VOMS server."""

import datetime
import os
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from mdm_async.identity.proxies import PROXY_CERT_INFO
from mdm_async.identity.shapes import ProxyCertInfo, ProxyPolicy

INHERIT_ALL, INDEPENDENT = "1.3.6.1.5.5.7.21.1", "1.3.6.1.5.5.7.21.2"
LIMITED = "1.3.6.1.4.1.3536.1.1.1.9"
HOUR = timedelta(hours=1)
VO = "brainvo"


@cache
def key(number: int) -> rsa.RSAPrivateKey:
    """Keys are costly to make; tests share them."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def name(*values: str) -> x509.Name:
    """/C=XX/O=Test Grid/CN=…"""
    parts = [(NameOID.COUNTRY_NAME, "XX"), (NameOID.ORGANIZATION_NAME, "Test Grid")]
    parts += [(NameOID.COMMON_NAME, value) for value in values]
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])


def dn(*values: str) -> str:
    return "/C=XX/O=Test Grid" + "".join(f"/CN={value}" for value in values)


@dataclass
class Identity:
    """A certificate with its key and those that signed it, up to the root."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey
    issuers: list[x509.Certificate] = field(default_factory=list)

    @property
    def chain(self) -> list[bytes]:
        """As OpenSSL hands it over."""
        return [one.public_bytes(Encoding.DER) for one in (self.certificate, *self.issuers)]

    def write(self, path: Path) -> Path:
        """Certificate, key and issuers in one file, as proxies are kept."""
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        rest = b"".join(one.public_bytes(Encoding.PEM) for one in self.issuers[:-1])
        path.write_bytes(self.certificate.public_bytes(Encoding.PEM) + pem + rest)
        path.chmod(0o600)
        return path

    def proxy(
        self,
        serial: str = "1001",
        *,
        policy: str = INHERIT_ALL,
        path_length: int | None = None,
        subject: x509.Name | None = None,
        key_number: int = 9,
        start: timedelta = -HOUR,
        end: timedelta = HOUR,
        extension: x509.UnrecognizedExtension | None = None,
    ) -> "Identity":
        """A proxy that this identity signs (RFC 3820)."""
        last = x509.NameAttribute(NameOID.COMMON_NAME, serial)
        info = asn1.encode_der(
            ProxyCertInfo(
                path_length=path_length,
                policy=ProxyPolicy(language=x509.ObjectIdentifier(policy), policy=None),
            )
        )
        builder = _builder(
            subject or x509.Name([*self.certificate.subject, last]),
            self.certificate.subject,
            key_number,
            start,
            end,
        ).add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier(PROXY_CERT_INFO), info), critical=True
        )
        if extension is not None:
            builder = builder.add_extension(extension, critical=False)
        signed = _usage(builder, signs=False).sign(self.key, hashes.SHA256())
        return Identity(signed, key(key_number), [self.certificate, *self.issuers])

    def legacy_proxy(self) -> "Identity":
        subject = x509.Name([*self.certificate.subject, x509.NameAttribute(NameOID.COMMON_NAME, "proxy")])
        signed = _builder(subject, self.certificate.subject, 9, -HOUR, HOUR).sign(self.key, hashes.SHA256())
        return Identity(signed, key(9), [self.certificate, *self.issuers])


@dataclass
class Authority(Identity):
    """One that signs, and its files in the CA directory."""

    directory: Path = Path()

    def issue(
        self,
        subject: x509.Name,
        key_number: int = 1,
        *,
        start: timedelta = -HOUR,
        end: timedelta = 24 * HOUR,
        host: str | None = None,
        serial: int | None = None,
        usage: x509.KeyUsage | None = None,
    ) -> Identity:
        builder = _builder(subject, self.certificate.subject, key_number, start, end, serial)
        if host is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        signed = _usage(builder, signs=False, usage=usage).sign(self.key, hashes.SHA256())
        return Identity(signed, key(key_number), [self.certificate, *self.issuers])

    def intermediate(
        self,
        subject: x509.Name,
        key_number: int,
        extension: x509.ExtensionType | None = None,
        *,
        critical: bool = False,
    ) -> "Authority":
        builder = _builder(subject, self.certificate.subject, key_number, -HOUR, 24 * HOUR)
        if extension is not None:
            builder = builder.add_extension(extension, critical)
        signed = _usage(builder, signs=True).sign(self.key, hashes.SHA256())
        return Authority(signed, key(key_number), [self.certificate, *self.issuers], self.directory)

    @property
    def hash(self) -> str:
        """As OpenSSL names the files of this authority."""
        pem = self.certificate.public_bytes(Encoding.PEM)
        found = subprocess.run(
            ["openssl", "x509", "-hash", "-noout"], input=pem, capture_output=True, check=True
        )
        return found.stdout.decode().strip()

    def trust(self, *subjects: str, number: int = 0) -> None:
        """Put the certificate and, with `subjects`, a signing policy into the CA directory."""
        (self.directory / f"{self.hash}.{number}").write_bytes(self.certificate.public_bytes(Encoding.PEM))
        if subjects:
            (self.directory / f"{self.hash}.signing_policy").write_text(self.policy(*subjects))

    def policy(self, *subjects: str) -> str:
        own = "".join(f"/{one.rfc4514_attribute_name}={one.value}" for one in self.certificate.subject)
        quoted = " ".join(f'"{one}"' for one in subjects)
        return (
            f"# of the tests\naccess_id_CA\tX509\t'{own}'\npos_rights globus CA:sign\n"
            f"cond_subjects  globus  '{quoted}'\n"
        )

    def revoke(
        self,
        certificates: Iterable[Identity] = (),
        *,
        start: timedelta = -HOUR,
        end: timedelta = HOUR,
        signer: rsa.RSAPrivateKey | None = None,
        encoding: Encoding = Encoding.PEM,
        extension: x509.ExtensionType | None = None,
    ) -> Path:
        """Publish a revocation list."""
        now = datetime.datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
        builder = builder.last_update(now + start).next_update(now + end)
        if extension is not None:
            builder = builder.add_extension(extension, critical=False)
        for one in certificates:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(one.certificate.serial_number)
                .revocation_date(now)
                .build()
            )
        path = self.directory / f"{self.hash}.r0"
        path.write_bytes(builder.sign(signer or self.key, hashes.SHA256()).public_bytes(encoding))
        return path


@dataclass
class Grid:
    """A CA directory and a VOMS directory, with one authority, one user, one host, one VOMS server."""

    root: Path
    authorities: Path
    vos: Path
    authority: Authority
    user: Identity
    host: Identity
    voms: Identity

    def new_authority(self, *names: str, key_number: int) -> Authority:
        return new_authority(self.authorities, *names, key_number=key_number)

    def lsc(self, *lines: str, vo: str = VO) -> Path:
        (self.vos / vo).mkdir(exist_ok=True)
        path = self.vos / vo / "voms.example.org.lsc"
        path.write_text("\n".join(lines) + "\n")
        return path

    def voms_proxy(
        self, *options: str, user: Identity | None = None, fqans: Sequence[str] = (), **known: str
    ) -> Identity:
        """A proxy with a VOMS attribute certificate, made by the real voms-proxy-fake."""
        out = self.root / f"proxy-{os.urandom(4).hex()}.pem"
        server = self.voms.write(self.root / "voms.pem")
        arguments = ["-voms", known.get("vo", VO), "-uri", "voms.example.org:15000"]
        arguments += [
            "-hostcert",
            known.get("server", str(server)),
            "-hostkey",
            known.get("server", str(server)),
        ]
        for fqan in fqans or (f"/{VO}/Role=NULL/Capability=NULL",):
            arguments += ["-fqan", fqan]
        return self._run("voms-proxy-fake", out, user or self.user, [*arguments, *options])

    def proxy_of_the_tools(self, *options: str) -> Identity:
        """Made by the real voms-proxy-init."""
        return self._run(
            "voms-proxy-init", self.root / f"proxy-{os.urandom(4).hex()}.pem", self.user, options
        )

    def _run(self, tool: str, out: Path, user: Identity, options: Sequence[str]) -> Identity:
        # The tools take a file with both for a proxy.
        certificate, secret = self.root / "usercert.pem", self.root / "userkey.pem"
        certificate.write_bytes(user.certificate.public_bytes(Encoding.PEM))
        secret.touch(mode=0o600)
        secret.write_bytes(user.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        version = () if "-old" in options else ("-rfc",)
        command = [
            tool,
            *version,
            "-cert",
            str(certificate),
            "-key",
            str(secret),
            "-certdir",
            str(self.authorities),
        ]
        environment = os.environ | {"HOME": str(self.root), "X509_CERT_DIR": str(self.authorities)}
        done = subprocess.run(
            [*command, "-out", str(out), *options],
            capture_output=True,
            check=False,
            timeout=60,
            env=environment,
        )
        assert out.exists(), done.stdout[-500:] + done.stderr[-500:]
        pem = out.read_bytes()
        first, *_ = x509.load_pem_x509_certificates(pem)
        return Identity(first, _key_of(pem), [user.certificate, *user.issuers])


def _key_of(pem: bytes) -> rsa.RSAPrivateKey:
    start = next(i for kind in (b"RSA PRIVATE", b"PRIVATE") if (i := pem.find(b"-----BEGIN " + kind)) >= 0)
    found = load_pem_private_key(pem[start:], None)
    assert isinstance(found, rsa.RSAPrivateKey)
    return found


def new_authority(directory: Path, *names: str, key_number: int) -> Authority:
    subject = name(*names)
    builder = _builder(subject, subject, key_number, -HOUR, 48 * HOUR)
    signed = _usage(builder, signs=True).sign(key(key_number), hashes.SHA256())
    return Authority(signed, key(key_number), [], directory)


def new_grid(root: Path) -> Grid:
    (root / "ca").mkdir()
    (root / "vomsdir").mkdir()
    authority = new_authority(root / "ca", "Test CA", key_number=0)
    authority.trust("/C=XX/O=Test Grid/*")
    grid = Grid(
        root=root,
        authorities=root / "ca",
        vos=root / "vomsdir",
        authority=authority,
        user=authority.issue(name("Ada User"), 1),
        host=authority.issue(name("localhost"), 2, host="localhost"),
        voms=authority.issue(name("voms.example.org"), 3, host="voms.example.org"),
    )
    grid.lsc(dn("voms.example.org"), dn("Test CA"))
    return grid


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key_number: int,
    start: timedelta,
    end: timedelta,
    serial: int | None = None,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
    builder = builder.serial_number(serial or x509.random_serial_number())
    # Without it the tools do not find their way up.
    builder = builder.add_extension(
        x509.SubjectKeyIdentifier.from_public_key(key(key_number).public_key()), critical=False
    )
    return (
        builder.public_key(key(key_number).public_key())
        .not_valid_before(now + start)
        .not_valid_after(now + end)
    )


def only(bit: str) -> x509.KeyUsage:
    """A key for this alone."""
    bits = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{one: one == bit for one in bits})


def _usage(
    builder: x509.CertificateBuilder, *, signs: bool, usage: x509.KeyUsage | None = None
) -> x509.CertificateBuilder:
    usual = x509.KeyUsage(not signs, False, not signs, False, False, signs, signs, False, False)
    builder = builder.add_extension(usage or usual, critical=True)
    return builder.add_extension(x509.BasicConstraints(ca=signs, path_length=None), critical=True)
