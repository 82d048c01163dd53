"""`[supervision]`: what cannot work is refused with its reason, before the station is started with it."""

from pathlib import Path

import pytest

from edged.config import SupervisionPart, parse_toml
from tests.unit.calling import Caller, Said
from tests.unit.parties import issue


def read(text: str) -> SupervisionPart:
    return parse_toml(text, SupervisionPart)


def test_a_host_is_enough() -> None:
    part = read('host = "mqtt.example.org"')
    assert (part.id, part.port, part.tls) == ("broker", 8883, True)
    assert (part.ca_file, part.certificate, part.key, part.credentials) == (None, None, None, None)


@pytest.mark.parametrize("host", ["10.0.0.7", "fd00::7", "broker", "a.b-c.example"])
def test_names_and_addresses_are_hosts(host: str) -> None:
    assert read(f'host = "{host}"').host == host


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("port = 8883", "host is missing"),
        ('host = ""', "host is ''"),
        ('host = "mqtt://broker"', "host is 'mqtt://broker'"),
        ('host = "-oProxy"', "host is '-oProxy'"),
        ('host = "b"\nport = 0', "port is 0"),
        ('host = "b"\nport = "8883"', "port is '8883'"),
        ('host = "b"\ntls = "no"', "tls is 'no'"),
        ('host = "b"\nid = "a/b"', "id is 'a/b'"),
        ('host = "b"\nca_file = "ca.pem"', "ca_file is 'ca.pem'; allowed: an absolute path"),
        ('host = "b"\npassword = "x"', "password is not a key that is known here"),
        ('host = "b"\ntls = false\nca_file = "/ca.pem"', "ca_file, certificate and key need tls = true"),
        ('host = "b"\ntls = false\ncertificate = "/c.pem"', "need tls = true"),
        ('host = "b"\nkey = "/k.pem"', "key needs certificate"),
    ],
)
def test_what_cannot_work_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"\.$") as caught:
        read(text)
    assert sentence in str(caught.value)


@pytest.fixture
def edged(capsys: pytest.CaptureFixture[str]) -> Caller:
    return Caller(capsys)


def checked(edged: Caller, folder: Path, table: str) -> Said:
    """Ask `edged check` of a new station with this table."""
    places = ("--config", folder / "etc", "--state", folder / "state", "--root-key", folder / "root.key")
    assert edged("init", "--station", "st-07", "--domain", "evidence.example", *places).code == 0
    with (folder / "etc/station.toml").open("a") as file:
        file.write(f'\n[supervision]\nhost = "127.0.0.1"\n{table}')
    return edged("check", config=folder / "etc")


def test_the_check_says_which_file_cannot_be_used(edged: Caller, tmp_path: Path) -> None:
    authority, _ = issue("Agency", None).save(tmp_path, "ca")
    said = checked(edged, tmp_path, f'ca_file = "{authority}"\ncertificate = "{tmp_path}/none.pem"\n')
    assert said.code == 78
    assert f"cannot be used: {tmp_path}/none.pem: No such file or directory." in said.err


def test_the_check_says_what_is_wrong_with_the_credentials(edged: Caller, tmp_path: Path) -> None:
    (tmp_path / "mqtt.toml").write_text('user = "st-07"\n')
    said = checked(edged, tmp_path, f'credentials = "{tmp_path}/mqtt.toml"\n')
    assert (said.code, "mqtt.toml: password is missing." in said.err) == (78, True)


def test_the_check_asks_nothing_of_the_broker(edged: Caller, tmp_path: Path) -> None:
    authority, _ = issue("Agency", None).save(tmp_path, "ca")
    assert checked(edged, tmp_path, f'port = 9\nca_file = "{authority}"\n').code == 0
