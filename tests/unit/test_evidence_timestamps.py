"""Time stamps: what is asked, what is believed, and that `openssl ts` says the same of every token."""

import dataclasses
import subprocess
import sys
import urllib.request
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
from cryptography import x509
from cryptography.hazmat import asn1
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.errors import MalformedError
from edged.evidence import cms, timestamps
from edged.evidence.certificates import make_root, to_pem
from edged.evidence.ids import StationId
from hwsim.authority import Authority, Behaviour, Server

DATA = b"evidence.example/st-07/2026-11-ab12\n3\n"
NONCE = 0xFEDCBA9876543210
AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
TERM = {"not_before": AT - timedelta(days=1), "not_after": AT + timedelta(days=100)}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), intermediates=1, **TERM).make()


@pytest.fixture(scope="module")
def token(authority: Authority) -> bytes:
    return authority.stamp(timestamps.request(DATA, NONCE), at=AT)


def judge(authority: Authority, token: bytes, data: bytes | None = DATA, until: datetime | None = AT) -> str:
    judged = timestamps.judge(token, data, [authority.root], until=until)
    return "not given" if judged is None else judged.verdict


def openssl_says(authority: Authority, token: bytes, folder: Path, at: datetime = AT) -> bool:
    (folder / "data").write_bytes(DATA)
    (folder / "token").write_bytes(token)
    (folder / "root").write_bytes(authority.root_pem)
    command = ["openssl", "ts", "-verify", "-data", "data", "-in", "token", "-CAfile", "root"]
    moment = str(int(at.timestamp()))
    done = subprocess.run([*command, "-attime", moment], cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode == 0 and "Verification: OK" in done.stdout


# -- asking


def test_a_request_is_what_openssl_asks_too(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(DATA)
    (tmp_path / "own").write_bytes(timestamps.request(DATA, NONCE))
    query = ["openssl", "ts", "-query"]
    subprocess.run(
        [*query, "-data", "data", "-sha256", "-cert", "-out", "theirs"], cwd=tmp_path, capture_output=True, check=True
    )
    own, theirs = (
        subprocess.run([*query, "-in", name, "-text"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        for name in ("own", "theirs")
    )
    assert "Nonce: 0xFEDCBA9876543210" in own
    assert [line for line in own.splitlines() if not line.startswith("Nonce")] == [
        line for line in theirs.splitlines() if not line.startswith("Nonce")
    ]


def test_the_answer_to_a_request_is_verified(authority: Authority, token: bytes) -> None:
    found = timestamps.verify(token, DATA, [authority.root], nonce=NONCE)
    assert found == timestamps.Token(
        moment=AT,
        accuracy=timedelta(seconds=1),
        authority="Test time-stamping authority",
        expires=authority.signer.not_valid_after_utc,
    )


@pytest.mark.parametrize(
    ("behaviour", "complaint"),
    [
        ("wrong-use", "not for time stamping alone"),
        ("shared-use", "not for time stamping alone"),
        ("uncritical-use", "not for time stamping alone"),
        ("unnamed-certificate", "does not name its signer's certificate"),
        ("no-certificates", "does not hold its signer's certificate"),
        ("other-bytes", "over other bytes"),
        ("other-nonce", "another request"),
        ("refusal", "refused"),
        ("garbage", "no time-stamp response"),
    ],
)
def test_an_answer_that_is_wrong_is_refused(authority: Authority, behaviour: Behaviour, complaint: str) -> None:
    answer = authority.stamp(timestamps.request(DATA, NONCE), behaviour=behaviour)
    with pytest.raises(MalformedError, match=complaint):
        timestamps.verify(answer, DATA, [authority.root], nonce=NONCE)


def test_an_authority_that_is_not_configured_is_refused(token: bytes, tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match="none of the roots"):
        timestamps.verify(token, DATA, [Authority(tmp_path, **TERM).make().root])
    assert timestamps.judge(token, DATA, [], until=AT) is None


# -- believing


def test_openssl_believes_the_same(authority: Authority, token: bytes, tmp_path: Path) -> None:
    cases = {
        "honest": token,
        "altered content": token.replace(b"20261121093000Z", b"20261121083000Z"),
        "altered signature": token[:-1] + bytes([token[-1] ^ 1]),
        "altered certificate": token.replace(b"intermediate 1", b"intermediate 2"),
    }
    for behaviour in ("wrong-use", "shared-use", "uncritical-use", "unnamed-certificate", "other-bytes"):
        cases[behaviour] = authority.stamp(timestamps.request(DATA, NONCE), at=AT, behaviour=behaviour)
    for name, each in cases.items():
        own = judge(authority, each) == "verified"
        assert own == openssl_says(authority, each, tmp_path) == (name == "honest"), name


@pytest.mark.parametrize("key", ["ec", "rsa"])
@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("names_by", ["sha1", "sha256", "sha512"])
def test_every_kind_of_key_digest_and_name_of_certificate(
    key: Literal["ec", "rsa"],
    digest: Literal["sha256", "sha384", "sha512"],
    names_by: Literal["sha1", "sha256", "sha512"],
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path, key=key, digest=digest, names_by=names_by).make()
    (tmp_path / "asked").write_bytes(DATA)
    query = ["openssl", "ts", "-query", "-data", "asked", f"-{digest}", "-cert", "-out", "theirs"]
    subprocess.run(query, cwd=tmp_path, capture_output=True, check=True)
    token = authority.stamp((tmp_path / "theirs").read_bytes())
    assert timestamps.verify(token, DATA, [authority.root]).accuracy == timedelta(seconds=1)
    now = timestamps.verify(token, DATA, [authority.root]).moment
    assert openssl_says(authority, token, tmp_path, now)


def test_a_signature_by_rsassa_pss(tmp_path: Path) -> None:
    authority = Authority(tmp_path, key="rsa", **TERM).make()
    info = cms.open_response(authority.stamp(timestamps.request(DATA, NONCE), at=AT)).content
    scheme = ("-keyopt", "rsa_padding_mode:pss")
    token = authority.sign(info, options=scheme)
    assert judge(authority, token) == "verified"
    (tmp_path / "signed").write_bytes(token)
    for command in (  # `openssl ts` does not know this scheme, `openssl cms` does
        ["ts", "-reply", "-in", "signed", "-token_out", "-out", "bare"],
        ["cms", "-verify", "-inform", "DER", "-in", "bare", "-CAfile", "root.pem", "-purpose", "any", "-out", "said"],
    ):
        options = ["-attime", str(int(AT.timestamp()))] if command[0] == "cms" else []
        subprocess.run(["openssl", *command, *options], cwd=tmp_path, capture_output=True, check=True)
    assert (tmp_path / "said").read_bytes() == info
    altered = token[:-1] + bytes([token[-1] ^ 1])
    assert judge(authority, altered) == "failed"


def test_a_signature_over_sha_1_is_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path, **TERM).make()
    info = cms.open_response(authority.stamp(timestamps.request(DATA, NONCE), at=AT)).content
    assert judge(authority, authority.sign(info, options=("-md", "sha1"))) == "failed"


def test_an_imprint_by_sha_1_is_refused(authority: Authority, token: bytes) -> None:
    info = asn1.decode_der(timestamps.TstInfo, cms.open_response(token).content)
    encoded = asn1.encode_der(info)
    short = encoded.replace(bytes.fromhex("0609608648016503040201"), bytes.fromhex("0609608648016503040204"))
    assert short != encoded
    assert judge(authority, authority.sign(short)) == "failed"


def test_a_statement_that_is_none_is_refused(authority: Authority) -> None:
    assert judge(authority, authority.sign(b"0\x00")) == "failed"
    assert judge(authority, authority.sign(b"not DER")) == "failed"


def test_a_critical_extension_that_nobody_understands_establishes_nothing(authority: Authority, token: bytes) -> None:
    info = asn1.decode_der(timestamps.TstInfo, cms.open_response(token).content)
    kind = x509.ObjectIdentifier("1.2.3.4.5")
    for critical, verdict in ((True, "not-established"), (False, "verified")):
        info.extensions = [timestamps.Extension(kind=kind, critical=critical, value=b"")]
        assert judge(authority, authority.sign(asn1.encode_der(info))) == verdict


def test_fractions_of_a_second_are_kept(authority: Authority, token: bytes) -> None:
    info = asn1.decode_der(timestamps.TstInfo, cms.open_response(token).content)
    info.moment = asn1.GeneralizedTime(AT.replace(microsecond=250_000))
    info.accuracy = timestamps.Accuracy(seconds=None, millis=20, micros=500)
    found = timestamps.verify(authority.sign(asn1.encode_der(info)), DATA, [authority.root])
    assert (found.moment.microsecond, found.accuracy) == (250_000, timedelta(microseconds=20_500))


def test_a_token_bounds_what_cites_it_whatever_it_is_over(authority: Authority, token: bytes) -> None:
    assert judge(authority, token, data=None) == "verified"
    assert judge(authority, token, data=b"other") == "failed"


def test_the_chain_must_hold_when_the_token_was_made_and_now(authority: Authority, token: bytes) -> None:
    expired = TERM["not_after"] + timedelta(seconds=1)
    assert judge(authority, token, until=expired) == "not-established"
    assert judge(authority, token, until=None) == "not-established"
    assert judge(authority, token, until=AT - timedelta(days=400)) == "verified"  # the verifier's clock is slow
    early = authority.stamp(timestamps.request(DATA, NONCE), at=TERM["not_before"] - timedelta(seconds=1))
    assert judge(authority, early) == "failed"


def test_a_revoked_intermediate_counts_like_a_revoked_authority(authority: Authority, token: bytes) -> None:
    intermediate = authority.issuers[1].certificate
    roots = [authority.root]
    for at, verdict in ((AT - timedelta(hours=1), "failed"), (AT + timedelta(hours=1), "not-established")):
        crl = authority.revoke(intermediate, at)
        judged = timestamps.judge(token, DATA, roots, until=AT + timedelta(days=1), crls=[crl])
        assert judged is not None
        assert judged.verdict == verdict


def test_an_authority_of_the_same_name_is_another(authority: Authority, tmp_path: Path) -> None:
    namesake = Authority(tmp_path, intermediates=1, **TERM).make()
    assert namesake.root.subject == authority.root.subject
    token = namesake.stamp(timestamps.request(DATA, NONCE), at=AT)
    assert (judge(namesake, token), judge(authority, token)) == ("verified", "not given")


def test_a_signature_of_a_kind_that_is_not_understood_establishes_nothing(token: bytes) -> None:
    _, by_ed25519 = make_root(StationId("st-07"), AT, AT + timedelta(days=1))
    strange = dataclasses.replace(cms.open_response(token), signer=by_ed25519)
    assert list(cms.objections(strange)) == [
        ("failed", "it does not name its signer's certificate"),
        ("not-established", "it is signed in a way that is not understood here"),
    ]


def test_parameters_that_a_scheme_needs_are_missed(token: bytes, tmp_path: Path) -> None:
    message = cms.open_response(token)
    pss = asn1.decode_der(timestamps.Imprint, bytes.fromhex("300f300b06092a864886f70d01010a0400")).algorithm
    found = list(
        cms.objections(dataclasses.replace(message, signer=Authority(tmp_path, key="rsa").make().signer, algorithm=pss))
    )
    assert found[-1] == ("failed", "its signed attributes, or how they are signed, cannot be understood")


# -- hostile bytes


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(1, 255)), min_size=1, max_size=4))
def test_an_altered_token_is_never_a_traceback_and_never_another_time(
    authority: Authority, token: bytes, changes: list[tuple[int, int]]
) -> None:
    altered = bytearray(token)
    for at, flip in changes:
        altered[at % len(token)] ^= flip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a serial number below zero is one day going to be an error
        try:
            judged = timestamps.judge(bytes(altered), DATA, [authority.root], until=AT)
        except MalformedError:
            return
    assert judged is None or judged.token is None or judged.token.moment == AT


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_token_are_never_a_traceback(authority: Authority, data: bytes) -> None:
    with pytest.raises(MalformedError):
        timestamps.judge(data, DATA, [authority.root], until=AT)


def test_a_token_stuffed_with_certificates_is_refused(authority: Authority, token: bytes) -> None:
    message = cms.open_response(token)
    chain = authority.folder / "chain.pem"
    before = chain.read_bytes()
    try:
        chain.write_bytes(to_pem([Authority(authority.folder / str(n)).make().root for n in range(17)]))
        stuffed = authority.sign(message.content)
    finally:
        chain.write_bytes(before)
    with pytest.raises(MalformedError, match="more than 16 certificates"):
        cms.open_response(stuffed)


# -- the authority as a server


def test_the_server_answers_requests_and_nothing_else(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "query").write_bytes(timestamps.request(DATA, NONCE))

    def post(kind: str, url: str) -> bytes:
        options = ["-s", "-S", "--fail", "--data-binary", "@query", "-H", f"Content-Type: {kind}"]
        return subprocess.run(["curl", *options, url], cwd=tmp_path, capture_output=True, check=False).stdout

    with Server(authority) as server:
        answer = post("application/timestamp-query", server.url)
        assert post("text/plain", server.url) == b""
        server.behaviour = "refusal"
        refused = post("application/timestamp-query", server.url)
    assert server.requests == 2
    with pytest.raises(MalformedError, match="refused"):
        timestamps.verify(refused, DATA, [authority.root])
    assert len(answer) > 1000


def test_the_command_makes_an_authority_and_serves_it_on_loopback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hwsim.authority", "serve", str(tmp_path / "tsa")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:")
            query = urllib.request.Request(  # noqa: S310 - on loopback, as was just seen
                url, timestamps.request(DATA, NONCE), {"Content-Type": "application/timestamp-query"}
            )
            with urllib.request.urlopen(query) as answer:  # noqa: S310
                token = answer.read()
        finally:
            process.terminate()
    (root,) = x509.load_pem_x509_certificates((tmp_path / "tsa/root.pem").read_bytes())
    assert timestamps.verify(token, DATA, [root], nonce=NONCE).authority == "Test time-stamping authority"
    assert (tmp_path / "tsa/key.pem").stat().st_mode & 0o077 == 0
