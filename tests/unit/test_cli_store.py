"""`edged store`: a folder is made a store only where it can be a second copy, and what it cannot promise is said."""

import json
from pathlib import Path

import pytest

from edged.stores.share import MARKER
from tests.unit.calling import Caller
from tests.unit.mounting import in_namespace, needs_loop


@pytest.fixture
def edged(capsys: pytest.CaptureFixture[str]) -> Caller:
    return Caller(capsys)


@pytest.fixture
def config(edged: Caller, tmp_path: Path) -> Path:
    """A station whose store is the folder `nas` beside its vault."""
    places = ("--config", tmp_path / "etc", "--state", tmp_path / "state", "--root-key", tmp_path / "root.key")
    assert edged("init", "--station", "st-07", "--domain", "evidence.example", *places).code == 0
    (tmp_path / "nas").mkdir(mode=0o750)
    with (tmp_path / "etc/station.toml").open("a") as file:
        file.write(f'\n[store]\nkind = "directory"\nid = "nas"\nfolder = "{tmp_path}/nas"\n')
    return tmp_path / "etc"


def test_without_a_store_there_is_nothing_to_check(edged: Caller, tmp_path: Path) -> None:
    places = ("--config", tmp_path / "etc", "--state", tmp_path / "state", "--root-key", tmp_path / "root.key")
    edged("init", "--station", "st-07", "--domain", "evidence.example", *places)
    for command in ("check", "set-up"):
        said = edged("store", command, config=tmp_path / "etc")
        assert (said.code, "No central storage is configured." in said.err) == (78, True)


def test_a_mount_point_with_nothing_mounted_does_not_become_the_store(
    edged: Caller, config: Path, tmp_path: Path
) -> None:
    """Else both copies of everything would lie on one disk, and recorders be erased for it."""
    said = edged("store", "set-up", config=config)
    assert said.code == 78
    assert "lies on the same disk as the vault" in said.err
    assert "--same-disk" in said.err
    assert not list((tmp_path / "nas").iterdir())
    said = edged("store", "check", config=config)
    assert said.code == 69
    assert "nothing is mounted there" in said.err
    assert "`edged store set-up`" in said.err
    assert not list((tmp_path / "nas").iterdir())


def test_a_folder_on_the_same_disk_takes_an_extra_word_and_stays_said(
    edged: Caller, config: Path, tmp_path: Path
) -> None:
    for command in (("set-up", "--same-disk"), ("check",)):
        said = edged("store", *command, config=config)
        assert (said.code, said.err) == (0, "")
        assert said.out.startswith("Store nas is as it must be: ")
        assert "It does not lock." in said.out
        assert "It lies on the same disk as the vault. One dead disk takes both copies." in said.out
    assert json.loads((tmp_path / "nas" / MARKER).read_bytes()) == {"v": 1, "store": "nas"}


@pytest.mark.root
@needs_loop
def test_a_folder_on_another_disk_is_set_up(config: Path, tmp_path: Path) -> None:
    told = in_namespace(
        f"""
        truncate -s 32M "{tmp_path}/nas.img"
        mkfs.ext4 -q -m 0 "{tmp_path}/nas.img" && mount -o loop "{tmp_path}/nas.img" "{tmp_path}/nas"
        """,
        """
        import sys
        from edged.cli.main import main

        sys.argv = ["edged", "store", "set-up", "--config", sys.argv[1]]
        main()
        """,
        config,
    )
    assert told.splitlines()[0].startswith("Store nas is as it must be: ")
    assert told.splitlines()[0].endswith(" free, ext4.")
    assert "It does not lock." in told
    assert "same disk" not in told
    assert not list((tmp_path / "nas").iterdir()), "the mount point itself stays empty"
