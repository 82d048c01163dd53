"""Settings, servers and buckets that cannot be stored into are refused, each in one plain sentence."""

import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from edged.clock import SystemClock
from edged.errors import ConfigError, EdgedError, StoreError, UnavailableError
from edged.evidence.ids import StoreId
from edged.stores.s3 import S3Settings, S3Store
from edged.stores.s3_client import in_plain_words
from hwsim.seaweed import SeaweedFS

NewBucket = Callable[[], S3Settings]


def refusal(settings: S3Settings) -> EdgedError:
    with closing(S3Store(settings)) as store, pytest.raises(EdgedError) as caught:
        store.check()
    assert "\n" not in str(caught.value)
    return caught.value


def test_each_thing_that_is_wrong_with_the_set_up_has_its_sentence(
    new_bucket: NewBucket, object_store: SeaweedFS
) -> None:
    good = new_bucket()
    with closing(S3Store(good)) as store:
        store._client.create_bucket(Bucket="plain-bucket")
        store._client.create_bucket(Bucket="versions-only")
        store._client.put_bucket_versioning(Bucket="versions-only", VersioningConfiguration={"Status": "Enabled"})
    at = f"Store central at {object_store.endpoint}"
    wrong = {
        f"{at} does not know the access key.": replace(good, access_key="nobody"),
        f"{at} does not accept the secret key.": replace(good, secret_key="wrong"),  # noqa: S106
        f"{at} has no bucket not-there.": replace(good, bucket="not-there"),
        "The bucket plain-bucket of store central keeps no versions: what is stored could be replaced.": replace(
            good, bucket="plain-bucket"
        ),
        "The bucket versions-only of store central has no Object Lock: what is stored could be deleted.": replace(
            good, bucket="versions-only"
        ),
    }
    for sentence, settings in wrong.items():
        error = refusal(settings)
        assert isinstance(error, StoreError)
        assert (error.message, bool(error.hint)) == (sentence, True)


def test_a_bucket_name_that_cannot_be_is_refused(object_store: SeaweedFS) -> None:
    with closing(S3Store(object_store.settings("x"))) as store, pytest.raises(StoreError, match="no possible name"):
        store.create_bucket()


def test_creating_a_bucket_twice_is_no_harm(new_bucket: NewBucket) -> None:
    with closing(S3Store(new_bucket())) as store:
        store.create_bucket()


def test_a_bucket_without_lock_is_not_taken_for_a_created_one(new_bucket: NewBucket) -> None:
    settings = replace(new_bucket(), bucket="no-lock")
    with closing(S3Store(settings)) as store:
        store._client.create_bucket(Bucket="no-lock")
        with pytest.raises(StoreError, match="keeps no versions"):
            store.create_bucket()
        with pytest.raises(StoreError, match="names no version of k"):
            store.put("k", b"1")


def test_a_server_that_is_not_there_is_unavailable(new_bucket: NewBucket) -> None:
    error = refusal(replace(new_bucket(), endpoint="http://127.0.0.1:9"))
    assert isinstance(error, UnavailableError)
    assert error.message.startswith("Store central at http://127.0.0.1:9 cannot be reached")


def test_settings_that_cannot_work_are_refused_before_anything_is_sent(new_bucket: NewBucket, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No connection can be made"):
        S3Store(replace(new_bucket(), endpoint="storage.example"))
    with pytest.raises(ConfigError, match=r"of `ca_bundle` cannot be read"):
        S3Store(replace(new_bucket(), ca_bundle=tmp_path / "none.pem"))


def test_nothing_in_the_environment_changes_where_evidence_goes(
    new_bucket: NewBucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = new_bucket()
    hostile = tmp_path / "config"
    hostile.write_text("[profile other]\nendpoint_url = http://127.0.0.1:9\n[default]\nca_bundle = /none\n")
    for name, value in {
        "AWS_PROFILE": "missing",
        "AWS_CONFIG_FILE": str(hostile),
        "AWS_SHARED_CREDENTIALS_FILE": str(hostile),
        "AWS_ACCESS_KEY_ID": "other",
        "AWS_SECRET_ACCESS_KEY": "other",
        "AWS_SESSION_TOKEN": "other",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_DEFAULT_REGION": "nowhere",
        "AWS_CA_BUNDLE": "/none",
        "AWS_MAX_ATTEMPTS": "no number",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with closing(S3Store(settings)) as store:
        store.check()


def test_the_secret_key_is_in_no_representation(new_bucket: NewBucket) -> None:
    assert "not-a-secret" not in repr(new_bucket())


@pytest.mark.parametrize(
    ("code", "status", "kind", "sentence"),
    [
        ("SlowDown", 503, UnavailableError, "is not able to look now (SlowDown)"),
        ("InternalError", 500, UnavailableError, "is not able to look now (InternalError)"),
        ("RequestTimeTooSkewed", 403, StoreError, "the station's clock and its own differ too much"),
        ("403", 403, StoreError, "does not allow this access key to look"),
        ("AuthorizationHeaderMalformed", 400, StoreError, "is not in the region us-east-1"),
        ("301", 301, StoreError, "keeps the bucket b-1 at another address"),
        ("Strange", 418, StoreError, "refuses to look: because (Strange)"),
    ],
)
def test_refusals_are_said_in_plain_words(code: str, status: int, kind: type[EdgedError], sentence: str) -> None:
    settings = S3Settings(
        id=StoreId("central"),
        endpoint="https://store",
        region="us-east-1",
        bucket="b-1",
        access_key="",
        secret_key="",
    )
    answer: Any = {
        "Error": {"Code": code, "Message": "because"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    with pytest.raises(kind, match=re.escape(sentence)), in_plain_words(settings, "look"):
        raise ClientError(answer, "Look")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of nobody's for 127.0.0.1, with its key, in one PEM file."""
    path = tmp_path / "server.pem"
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "store")])
    now = SystemClock().now()
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return path


@pytest.fixture
def busy_https(certificate: Path) -> Iterator[str]:
    """A server that speaks TLS and has no time for anybody."""

    class Busy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with HTTPServer(("127.0.0.1", 0), Busy) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.1,))
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_certificate_of_an_authority_that_nobody_named_is_refused(
    new_bucket: NewBucket, busy_https: str, certificate: Path
) -> None:
    settings = replace(new_bucket(), endpoint=busy_https)
    error = refusal(settings)
    assert isinstance(error, StoreError)
    assert error.message.startswith(f"The certificate of Store central at {busy_https} cannot be trusted")
    assert "ca_bundle" in error.hint
    trusted = refusal(replace(settings, ca_bundle=certificate))
    assert isinstance(trusted, UnavailableError)
    assert trusted.message == f"Store central at {busy_https} is not able to read the settings of the bucket now (503)."
