"""[anchors] in station.toml: what is wrong is said before anything is asked of anybody."""

from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edged.config import STATION_FILE
from edged.errors import ConfigError
from edged.evidence.cosignatures import witness_vkey
from edged.evidence.note import vkey
from edged.station.assembly import check_configuration
from tests.unit.made_station import make

PUBLIC: Final = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
WITNESS: Final = witness_vkey("example.org/w", PUBLIC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = make(tmp_path)
    made.close()
    root = made.config.paths.state / "keys" / "root.pem"
    (tmp_path / "tsa.pem").write_bytes(root.read_bytes())
    return made.config_folder


def add(folder: Path, text: str) -> None:
    path = folder / STATION_FILE
    path.write_text(path.read_text() + "\n" + text.replace("HERE", str(folder.parent)))


def authority(**other: str) -> str:
    keys = {"id": "tsa", "url": "http://127.0.0.1:9/", "root": "HERE/tsa.pem"} | other
    return "[[anchors.authority]]\n" + "".join(f'{key} = "{value}"\n' for key, value in keys.items())


def witness(**other: str) -> str:
    keys = {"name": "w", "url": "http://127.0.0.1:9", "vkey": WITNESS} | other
    return "[[anchors.witness]]\n" + "".join(f'{key} = "{value}"\n' for key, value in keys.items())


def test_authorities_and_witnesses_are_read(folder: Path) -> None:
    add(folder, authority() + authority(id="tsa-2") + witness())
    part = check_configuration(folder).anchors
    assert [each.id for each in part.authority] == ["tsa", "tsa-2"]
    assert [each.name for each in part.witness] == ["w"]
    assert part.every_minutes == 60


WRONG: Final = {
    "same name twice": (authority() + witness(name="tsa"), "names of their own"),
    "a dot in a token's name": (authority(id="tsa.1"), "anchors.authority.0.id"),
    "a slash in a token's name": (authority(id="../tsa"), "anchors.authority.0.id"),
    "no address": (authority(url="ftp://127.0.0.1"), "anchors.authority.0.url"),
    "a port that is none": (authority(url="http://127.0.0.1:x/"), "url"),
    "a root that is not there": (authority(root="HERE/missing.pem"), "missing.pem cannot be read"),
    "a root that is none": (authority(root="HERE/etc/station.toml"), "no certificates"),
    "a relative root": (authority(root="tsa.pem"), "anchors.authority.0.root"),
    "a CA that is none": (authority(url="https://127.0.0.1/", ca_file="HERE/etc/station.toml"), "ca_file"),
    "a key that is none": (witness(vkey="w"), "NAME+ID+KEY"),
    "a key of a log": (witness(vkey=vkey("example.org/w", PUBLIC)), "not one for cosignatures"),
    "an address with a query": (witness(url="http://127.0.0.1/?a"), "anchors.witness.0.url"),
    "an unknown key": (authority(colour="blue"), "colour is not a key"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_is_named_and_refused(folder: Path, what: str) -> None:
    text, part = WRONG[what]
    add(folder, text)
    with pytest.raises(ConfigError) as caught:
        check_configuration(folder)
    assert part in caught.value.message, caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("policy", "part"),
    [
        ("quorum none\n", None),
        ("quorum all\n", "line 1"),
        ("witness a b\nquorum a\n", "line 1"),
        (None, "cannot be read"),
    ],
)
def test_policy_is_read_as_a_verifier_would(folder: Path, policy: str | None, part: str | None) -> None:
    file = folder.parent / "policy.txt"
    if policy is not None:
        file.write_text(policy)
    path = folder / STATION_FILE
    path.write_text(path.read_text().replace('#policy = "/etc/edged/witnesses.txt"', f'policy = "{file}"'))
    if part is None:
        assert check_configuration(folder).anchors.policy == file
        return
    with pytest.raises(ConfigError, match=part):
        check_configuration(folder)
