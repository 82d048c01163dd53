"""A time-stamping authority of one's own (RFC 3161), honest or not, for the demonstration and the tests.

It is `openssl ts`: what it answers is made by another program than the one that checks it. Tokens of a chosen time,
and those of a misbehaving authority, are such answers altered and signed again by `openssl cms`.

Guarantees: everything is in its folder; keys are made there and readable by their owner alone; the server listens on
127.0.0.1 alone.
"""

import argparse
import shutil
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Final, Literal, Self, get_args

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edged.clock import SystemClock
from edged.errors import ToolError
from edged.evidence.certificates import to_pem
from edged.evidence.cms import open_response
from edged.evidence.timestamps import TstInfo

Behaviour = Literal[
    "honest",
    "wrong-use",  # the certificate is for servers
    "shared-use",  # … for time stamping and for code
    "uncritical-use",  # … for time stamping, but not critically so
    "unnamed-certificate",  # nothing signed names the signer's certificate
    "no-certificates",  # although they were asked for
    "other-bytes",  # the token is over something else
    "other-nonce",  # the answer is to another request
    "refusal",
    "garbage",
]

_SIGN: Final = (
    *("-sign", "-binary", "-nodetach", "-nosmimecap", "-econtent_type", "1.2.840.113549.1.9.16.1.4"),
    *("-in", "info", "-inkey", "key.pem", "-outform", "DER", "-out", "token"),
)
"""Options of `openssl cms` to sign the file `info`, as a TSTInfo, into the file `token`."""
_REFUSAL: Final = bytes.fromhex("30053003020102")
"""A TimeStampResp with status 2 and no token."""
_WAIT_SECONDS: Final = 30
_MAX_REQUEST_BYTES: Final = 64 << 10

_USES: Final[dict[Behaviour, tuple[list[x509.ObjectIdentifier], bool]]] = {
    "honest": ([ExtendedKeyUsageOID.TIME_STAMPING], True),
    "wrong-use": ([ExtendedKeyUsageOID.SERVER_AUTH], True),
    "shared-use": ([ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CODE_SIGNING], True),
    "uncritical-use": ([ExtendedKeyUsageOID.TIME_STAMPING], False),
}
"""Certificates that an authority has, by the behaviour that they are for."""

_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@asn1.sequence
class _Status:
    status: int


@asn1.sequence
class _Content:
    kind: x509.ObjectIdentifier
    content: Annotated[asn1.TLV, asn1.Explicit(0)]


@asn1.sequence
class _Response:
    status: _Status
    token: _Content


@dataclass(kw_only=True)
class _Issuer:
    """A root or an intermediate."""

    key: _Key
    certificate: x509.Certificate


@dataclass
class Authority:
    """One authority in one folder; `make` first."""

    folder: Path
    name: str = field(default="Test time-stamping authority", kw_only=True)
    intermediates: int = field(default=0, kw_only=True)
    """Authorities between the root and the one that stamps."""
    not_before: datetime | None = field(default=None, kw_only=True)
    not_after: datetime | None = field(default=None, kw_only=True)
    """Term of the certificate that stamps; a day ago, and ten years from now. Its issuers' terms are wider."""
    key: Literal["ec", "rsa"] = field(default="ec", kw_only=True)
    digest: Literal["sha256", "sha384", "sha512"] = field(default="sha256", kw_only=True)
    """What it signs with; what is stamped is hashed as the request says."""
    names_by: Literal["sha1", "sha256", "sha384", "sha512"] = field(default="sha256", kw_only=True)
    """How it names its certificate; by SHA-1 it is ESSCertID of RFC 2634."""
    issuers: list[_Issuer] = field(default_factory=list, init=False)
    """The root first."""
    signer: x509.Certificate = field(init=False)
    _turn: threading.Lock = field(default_factory=threading.Lock, init=False)

    def make(self) -> Self:
        """Make keys and certificates."""
        now = SystemClock().now().replace(microsecond=0)
        start = self.not_before or now - timedelta(days=1)
        end = self.not_after or now + timedelta(days=3_650)
        self.folder.mkdir(parents=True, exist_ok=True)
        for number in range(self.intermediates + 1):
            name = f"{self.name} intermediate {number}" if number else f"{self.name} root"
            self.issuers.append(self._issuer(name, start - timedelta(days=400), end + timedelta(days=4_000)))
        key = self._new_key()
        for behaviour, (uses, critical) in _USES.items():
            certificate = self._certificate(key, uses, start, end, critical=critical)
            self._path(f"{behaviour}.pem").write_bytes(to_pem([certificate]))
            if behaviour == "honest":
                self.signer = certificate
        self._path("chain.pem").write_bytes(to_pem([each.certificate for each in self.issuers[:0:-1]]))
        self._path("root.pem").write_bytes(self.root_pem)
        self._path("key.pem").touch(mode=0o600)
        self._path("key.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        self._path("serial").write_text("01\n")
        self._path("ts.cnf").write_text(self._settings())
        return self

    @property
    def root(self) -> x509.Certificate:
        """The root's certificate."""
        return self.issuers[0].certificate

    @property
    def root_pem(self) -> bytes:
        """The root's certificate in PEM: what `edged verify --tsa` is given."""
        return to_pem([self.root])

    def stamp(self, request: bytes, *, at: datetime | None = None, behaviour: Behaviour = "honest") -> bytes:
        """Answer a TimeStampReq; `at` is what the token says the time is, in whole seconds, instead of the truth."""
        match behaviour:
            case "refusal":
                return _REFUSAL
            case "garbage":
                return b"<html>Service unavailable</html>"
            case "honest" if at is None:
                return self._reply(request)
        info = asn1.decode_der(TstInfo, open_response(self._reply(request)).content)
        if at is not None:
            info.moment = asn1.GeneralizedTime(at.astimezone(UTC).replace(microsecond=0))
        if behaviour == "other-bytes":
            info.imprint.digest = info.imprint.digest[::-1]
        if behaviour == "other-nonce":
            info.nonce = (info.nonce or 0) + 1
        return self.sign(asn1.encode_der(info), behaviour=behaviour)

    def sign(self, info: bytes, *, behaviour: Behaviour = "honest", options: Sequence[str] = ()) -> bytes:
        """Sign a TSTInfo, whatever it says, and give the response; `options` are further ones of `openssl cms`."""
        signer = f"{behaviour}.pem" if behaviour in _USES else "honest.pem"
        more = (
            ["-nocerts"] if behaviour == "no-certificates" else ["-certfile", "chain.pem"] if self.intermediates else []
        )
        if behaviour != "unnamed-certificate":
            more.append("-cades")
        with self._turn:
            self._path("info").write_bytes(info)
            self._run("cms", *_SIGN, "-signer", signer, "-md", self.digest, *more, *options)
            token = self._path("token").read_bytes()
        return asn1.encode_der(_Response(status=_Status(status=0), token=asn1.decode_der(_Content, token)))

    def revoke(
        self,
        certificate: x509.Certificate,
        at: datetime,
        *,
        reason: x509.ReasonFlags = x509.ReasonFlags.cessation_of_operation,
        invalid_since: datetime | None = None,
    ) -> x509.CertificateRevocationList:
        """Give a revocation list, by its issuer, with a certificate of this authority."""
        issuer = next(each for each in self.issuers if each.certificate.subject == certificate.issuer)
        entry = (
            x509.RevokedCertificateBuilder()
            .serial_number(certificate.serial_number)
            .revocation_date(at)
            .add_extension(x509.CRLReason(reason), critical=False)
        )
        if invalid_since is not None:
            entry = entry.add_extension(x509.InvalidityDate(invalid_since), critical=False)
        return (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.certificate.subject)
            .last_update(at)
            .next_update(at + timedelta(days=4_000))
            .add_revoked_certificate(entry.build())
            .sign(issuer.key, hashes.SHA256())
        )

    # -- inside

    def _path(self, name: str) -> Path:
        return self.folder / name

    def _reply(self, request: bytes) -> bytes:
        with self._turn:
            self._path("request").write_bytes(request)
            self._run("ts", "-reply", "-config", "ts.cnf", "-queryfile", "request", "-out", "reply")
            return self._path("reply").read_bytes()

    def _run(self, command: str, *arguments: str) -> None:
        openssl = shutil.which("openssl")
        if openssl is None:
            raise ToolError("openssl is not here.", hint="Install it with `sudo apt-get install openssl`.")
        done = subprocess.run(
            [openssl, command, *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_WAIT_SECONDS,
        )
        if done.returncode:
            raise ToolError(f"openssl {command} failed: {done.stderr.decode(errors='replace').strip()}")

    def _settings(self) -> str:
        lines = [
            "[tsa]",
            "default_tsa = one",
            "[one]",
            "serial = serial",
            "crypto_device = builtin",
            "signer_cert = honest.pem",
            "signer_key = key.pem",
            f"signer_digest = {self.digest}",
            "default_policy = 1.2.3.4.1",
            "other_policies = 1.2.3.4.2",
            "digests = sha256, sha384, sha512",
            "accuracy = secs:1",
            "ordering = no",
            "tsa_name = yes",
            "ess_cert_id_chain = no",
            f"ess_cert_id_alg = {self.names_by}",
        ]
        if self.intermediates:
            lines.append("certs = chain.pem")
        return "\n".join(lines) + "\n"

    def _new_key(self) -> _Key:
        if self.key == "rsa":
            return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        return ec.generate_private_key(ec.SECP256R1())

    def _issuer(self, name: str, start: datetime, end: datetime) -> _Issuer:
        key = self._new_key()
        above = self.issuers[-1] if self.issuers else None
        builder = (
            self._builder(name, key, above, start, end)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(is_authority=True), critical=True)
        )
        return _Issuer(key=key, certificate=builder.sign(above.key if above else key, hashes.SHA256()))

    def _certificate(
        self, key: _Key, uses: Sequence[x509.ObjectIdentifier], start: datetime, end: datetime, *, critical: bool
    ) -> x509.Certificate:
        above = self.issuers[-1]
        return (
            self._builder(self.name, key, above, start, end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(is_authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=critical)
            .sign(above.key, hashes.SHA256())
        )

    def _builder(
        self, name: str, key: _Key, above: _Issuer | None, start: datetime, end: datetime
    ) -> x509.CertificateBuilder:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = key if above is None else above.key
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if above is None else above.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)
        )


class Server:
    """Answers over HTTP (RFC 3161, section 3.4) at a free port of 127.0.0.1; a context manager."""

    def __init__(self, authority: Authority, *, port: int = 0, behaviour: Behaviour = "honest") -> None:
        """Name the authority, which must be made; `behaviour` may be changed while it runs."""
        self.behaviour: Behaviour = behaviour
        self.requests = 0
        """How many were answered."""
        self._http = ThreadingHTTPServer(("127.0.0.1", port), _handler(self, authority))
        self._thread = threading.Thread(target=self._http.serve_forever, name="authority", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where to post requests to."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/"


def _handler(server: Server, authority: Authority) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _WAIT_SECONDS

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if self.headers.get("Content-Type") != "application/timestamp-query" or not 0 < length < _MAX_REQUEST_BYTES:
                self.send_error(400)
                return
            try:
                answer = authority.stamp(self.rfile.read(length), behaviour=server.behaviour)
            except ToolError:
                self.send_error(500)
                return
            server.requests += 1
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parameter of the overridden
            """Say nothing: who wants to know counts the requests."""

    return Handler


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Make an authority and serve it until interrupted: `python -m hwsim.authority serve FOLDER`."""
    parser = argparse.ArgumentParser(prog="hwsim.authority", description="A time-stamping authority on loopback.")
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("folder", type=Path, help="Its keys and its root.pem go there.")
    parser.add_argument("--port", type=int, default=0, help="A free one unless given.")
    parser.add_argument("--behaviour", choices=get_args(Behaviour), default="honest")
    given = parser.parse_args(arguments)
    with Server(Authority(given.folder).make(), port=given.port, behaviour=given.behaviour) as server:
        print(server.url, flush=True)  # noqa: T201 - that is what it is asked for
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
