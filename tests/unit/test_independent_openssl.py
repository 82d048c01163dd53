"""`openssl` and `bagit` say of the test vectors what the project says: signatures, certificates, CRLs, tokens, bags."""

import base64
import subprocess
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import bagit
import pytest

from tests.unit.test_vectors import HERE, read
from tests.vectors import generate

CERTIFICATES = HERE / "certificates"


def openssl(*arguments: object, cwd: Path = HERE) -> bool:
    """Say whether `openssl` accepts."""
    command = ["openssl", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize("altered", [False, True])
def test_the_signature_of_a_checkpoint(tmp_path: Path, *, altered: bool) -> None:
    text, _, line = read("notes.json")["checkpoint"].partition("\n\n")
    (tmp_path / "body").write_text(text.replace("\n6\n", "\n7\n" if altered else "\n6\n") + "\n")
    (tmp_path / "sig").write_bytes(base64.b64decode(line.split()[-1])[4:])
    key = subprocess.run(
        ["openssl", "x509", "-in", CERTIFICATES / "station.pem", "-noout", "-pubkey"], check=True, capture_output=True
    )
    (tmp_path / "key").write_bytes(key.stdout)
    told = ("pkeyutl", "-verify", "-pubin", "-inkey", "key", "-rawin", "-in", "body", "-sigfile", "sig")
    assert openssl(*told, cwd=tmp_path) != altered


@pytest.mark.parametrize(
    "each", read("certificates/judged.json")["judged"], ids=lambda each: f"{each['at']}-{each['crl']}"
)
def test_a_certificate_at_a_moment(each: dict[str, Any]) -> None:
    if (each["station"], each["origin"]) != (generate.STATION, generate.ORIGIN):
        subject = ("x509", "-in", CERTIFICATES / "station.pem", "-noout", "-subject", "-ext", "subjectAltName")
        said = subprocess.run(["openssl", *subject], check=True, capture_output=True, text=True).stdout
        assert each["origin"] not in said or f"CN = {each['station']}" not in said
        return
    at = int(datetime.fromisoformat(each["at"]).timestamp())
    told = ["verify", "-no-CApath", "-no-CAstore", "-CAfile", "root.pem", "-attime", at]
    if each["crl"] is None:
        assert openssl(*told, "station.pem", cwd=CERTIFICATES) == (each["verdict"] == "verified")
        return
    # openssl knows nothing of invalidityDate: a certificate on a list is revoked for it, whenever that was.
    listed = int(generate.START.timestamp())
    now = ["verify", "-no-CApath", "-no-CAstore", "-CAfile", "root.pem", "-attime", listed]
    assert openssl(*now, "station.pem", cwd=CERTIFICATES)
    assert not openssl(*now, "-crl_check", "-CRLfile", each["crl"], "station.pem", cwd=CERTIFICATES)
    command = ["openssl", "crl", "-in", each["crl"], "-noout", "-CAfile", "root.pem"]
    assert b"verify OK" in subprocess.run(command, cwd=CERTIFICATES, check=True, capture_output=True).stderr


def test_the_token() -> None:
    at = read("time/token.json")["time"]
    told = ("ts", "-verify", "-in", "token.tsr", "-CAfile", "tsa.pem", "-attime", at)
    assert openssl(*told, "-data", "checkpoint", cwd=HERE / "time")
    assert not openssl(*told, "-data", "tsa.pem", cwd=HERE / "time")


def test_the_small_bundle_is_a_bag(tmp_path: Path) -> None:
    with zipfile.ZipFile(HERE / "bundle/bundle.zip") as archive:
        archive.extractall(tmp_path)
    bagit.Bag(str(tmp_path / generate.TOP)).validate()
    (tmp_path / generate.TOP / "data/texts.json").write_bytes(b"{}")
    with pytest.raises(bagit.BagValidationError):
        bagit.Bag(str(tmp_path / generate.TOP)).validate()
