"""The boto3 client: it reads nothing of its surroundings, and its errors are said in a person's words.

No environment variable, no file in a home folder, no metadata service, no proxy setting of a login shell can
change where evidence goes or who sends it: what `S3Settings` says is all there is.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
import botocore.session
from botocore.config import Config
from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
    SSLError,
)
from botocore.exceptions import ConnectionError as NetworkError

from edged.errors import ConfigError, EdgedError, StoreError, UnavailableError
from edged.evidence.ids import StoreId
from edged.stores.port import MissingError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CONNECT_SECONDS: Final = 10
_ANSWER_SECONDS: Final = 60
_ATTEMPTS: Final = 3
_CONNECTIONS: Final = 32

_NOTHING_AMBIENT: Final[dict[str, Any]] = {
    name: (None, None, default, convert) for name, (_, _, default, convert) in BOTOCORE_DEFAUT_SESSION_VARIABLES.items()
} | dict.fromkeys(("config_file", "credentials_file"), (None, None, os.devnull, None))
"""botocore's own variables with their defaults, but without the environment and files they are read from."""

_PASSING: Final = frozenset({"SlowDown", "Throttling", "ThrottlingException", "RequestTimeout", "TooManyRequests"})
_MISSING: Final = frozenset({"NoSuchKey", "NoSuchVersion", "NoSuchUpload", "404"})
_DAMAGED: Final = frozenset({"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch"})

_SENTENCES: Final[dict[str, tuple[str, str]]] = {
    "NoSuchBucket": (
        "has no bucket {bucket}",
        "Create it with versioning and Object Lock on, or correct `bucket`.",
    ),
    "InvalidBucketName": (
        "takes {bucket!r} for no possible name of a bucket",
        "3 to 63 lower-case letters, digits and hyphens are allowed; correct `bucket`.",
    ),
    "InvalidAccessKeyId": ("does not know the access key", "Correct `access_key` in the credentials file."),
    "SignatureDoesNotMatch": (
        "does not accept the secret key",
        "Correct `secret_key` in the credentials file; if it is right, compare `region` and `endpoint`.",
    ),
    "AccessDenied": (
        "does not allow this access key to {doing}",
        "The key needs to read, write, list and lock objects of the bucket {bucket}, and to read its settings.",
    ),
    "RequestTimeTooSkewed": (
        "refuses because the station's clock and its own differ too much",
        "Set the station's clock; it should follow a time server.",
    ),
    "AuthorizationHeaderMalformed": ("is not in the region {region}", "Correct `region`."),
    "PermanentRedirect": ("keeps the bucket {bucket} at another address", "Correct `endpoint` and `region`."),
}
"""What common answers mean, by S3 error code: the end of the sentence "store ID at ENDPOINT …", and a hint."""

_SAME_AS: Final = {"403": "AccessDenied", "301": "PermanentRedirect", "Forbidden": "AccessDenied"}
"""Answers to HEAD have no body, so only the number of the status is known."""


class DamagedError(StoreError):
    """The store computed another digest over what it received than the one sent along with it."""


@dataclass(frozen=True, kw_only=True)
class S3Settings:
    """Where central storage is and how to get in."""

    id: StoreId
    endpoint: str
    """`https://HOST[:PORT]`, or `http://` inside a network that is trusted to carry evidence in the clear."""
    region: str
    bucket: str
    access_key: str
    secret_key: str = field(repr=False)
    ca_bundle: Path | None = None
    """PEM file of the authorities that may vouch for the endpoint; None for the public ones."""


def make_client(settings: S3Settings) -> "S3Client":
    """Make a client; nothing is sent yet. Raises ConfigError when the settings cannot make one."""
    if settings.ca_bundle is not None and not os.access(settings.ca_bundle, os.R_OK):
        raise ConfigError(f"The file {settings.ca_bundle} of `ca_bundle` cannot be read.")
    session = boto3.session.Session(botocore_session=botocore.session.Session(session_vars=_NOTHING_AMBIENT))
    config = Config(
        signature_version="s3v4",
        # The checksum header of each upload is signed and the server checks the body against it, so the body
        # is bound without hashing it here once more, as botocore would do over plain HTTP.
        s3={"addressing_style": "path", "payload_signing_enabled": False},
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_ANSWER_SECONDS,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        max_pool_connections=_CONNECTIONS,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        proxies={},
    )
    try:
        return session.client(
            "s3",
            endpoint_url=settings.endpoint,
            region_name=settings.region,
            aws_access_key_id=settings.access_key,
            aws_secret_access_key=settings.secret_key,
            verify=str(settings.ca_bundle) if settings.ca_bundle is not None else True,
            config=config,
        )
    except (BotoCoreError, ValueError) as error:
        raise ConfigError(f"No connection can be made with these settings of the store: {error}.") from error


@contextmanager
def in_plain_words(settings: S3Settings, doing: str) -> Iterator[None]:
    """Turn what boto3 raises inside into an EdgedError; `doing` completes "does not allow to …"."""
    try:
        yield
    except ClientError as error:
        raise _answered(settings, doing, error) from error
    except SSLError as error:
        raise StoreError(
            f"The certificate of {_name(settings)} cannot be trusted: {error.kwargs['error']}.",
            hint="If an authority of your own issued it, name that authority's PEM file as `ca_bundle`.",
        ) from error
    except (NetworkError, HTTPClientError, IncompleteReadError, ResponseStreamingError) as error:
        raise UnavailableError(
            f"{_name(settings)} cannot be reached, or the connection broke, in trying to {doing}: {error}",
            hint="It is tried again. Check the network, and that the server runs.",
        ) from error
    except BotoCoreError as error:
        raise StoreError(f"{_name(settings)} cannot be asked to {doing}: {error}") from error


def _answered(settings: S3Settings, doing: str, error: ClientError) -> EdgedError:
    code = error.response["Error"].get("Code", "")
    code = _SAME_AS.get(code, code)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status >= 500 or code in _PASSING:  # noqa: PLR2004 - HTTP: the server's own fault
        return UnavailableError(
            f"{_name(settings)} is not able to {doing} now ({code}).",
            hint="It is tried again. If it stays so, the server is overloaded or full.",
        )
    if code in _MISSING:
        return MissingError(f"{_name(settings)} is asked to {doing}, but does not hold it.")
    if code in _DAMAGED:
        return DamagedError(f"{_name(settings)} received other bytes than were sealed, in trying to {doing}.")
    if code in _SENTENCES:
        sentence, hint = _SENTENCES[code]
        words = {"bucket": settings.bucket, "region": settings.region, "doing": doing}
        return StoreError(f"{_name(settings)} {sentence.format(**words)}.", hint=hint.format(**words))
    message = error.response["Error"].get("Message", "")
    return StoreError(f"{_name(settings)} refuses to {doing}: {message} ({code})")


def _name(settings: S3Settings) -> str:
    return f"Store {settings.id} at {settings.endpoint}"
