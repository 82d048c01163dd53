"""Marks of originals that have their name and no entry yet."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from edged.evidence.digests import Digester
from edged.evidence.ids import RecorderId, SegmentId
from edged.vault.disk import Disk
from edged.vault.incoming import Source
from edged.vault.place import CHUNKS_FILE, Place
from edged.vault.unsealed import Unsealed
from edged.vault.vault import Vault

RECORDER = RecorderId("r")
CONTENT = b"footage"


@dataclass(frozen=True)
class Bench:
    """A vault, as it is found at each start."""

    root: Path

    @property
    def vault(self) -> Vault:
        return Vault(self.root, Disk())

    def keep(self, *, day: int = 1, name: str = "one.mp4", handed_in: bool = False) -> Unsealed:
        """Give an original its name, as far as its entry."""
        digester = Digester()
        digester.update(CONTENT)
        digests = digester.finish()
        of = Source(recorder=RECORDER, path="DCIM/line\\x0a one.mp4", size_bytes=len(CONTENT), modified_ns=7)
        where = Place(recorder=RECORDER, day=date(2026, 11, day), segment=SegmentId("sg-1"), name=name)
        vault = self.vault
        with vault.incoming.begin(of) as draft:
            draft.write(memoryview(CONTENT), 0)
            draft.settle(len(CONTENT))
            return vault.keep(draft, where, digests, handed_in=handed_in)

    def restart(self, sealed: Place | None) -> Vault:
        vault = self.vault
        vault.incoming.clear()
        vault.unsealed.clear(lambda _: sealed)
        return vault

    def marks(self) -> list[Path]:
        return list((self.root / "incoming").iterdir())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "vault")


def test_original_without_an_entry_is_known_after_a_restart(bench: Bench) -> None:
    left = bench.keep()
    vault = bench.restart(sealed=None)
    assert vault.unsealed.left(RECORDER) == vault.unsealed.left_before() == [left]
    assert vault.unsealed.left(RecorderId("another")) == []
    assert left.original.read_bytes() == CONTENT


def test_mark_of_what_was_sealed_goes_and_the_original_stays(bench: Bench) -> None:
    left = bench.keep()
    vault = bench.restart(sealed=left.where)
    assert vault.unsealed.left(RECORDER) == vault.unsealed.left_before() == []
    assert bench.marks() == []
    assert left.original.read_bytes() == CONTENT


def test_copy_of_what_was_sealed_under_another_day_goes_with_its_mark(bench: Bench) -> None:
    left, sealed = bench.keep(day=1), bench.keep(day=2)
    bench.restart(sealed=sealed.where)
    assert bench.marks() == []
    assert not left.original.exists()
    assert not left.original.with_name(CHUNKS_FILE).exists()
    assert sealed.original.read_bytes() == CONTENT


def test_copy_under_another_name_goes_and_leaves_the_chunk_list_that_both_have(bench: Bench) -> None:
    left, sealed = bench.keep(), bench.keep(name="one_IMP.mp4")
    assert left.original.parent == sealed.original.parent
    bench.restart(sealed=sealed.where)
    assert bench.marks() == []
    assert {path.name for path in sealed.original.parent.iterdir()} == {"one_IMP.mp4", CHUNKS_FILE}


def test_what_a_person_handed_in_is_not_held_against_its_recorder(bench: Bench) -> None:
    left = bench.keep(handed_in=True)
    vault = bench.restart(sealed=None)
    assert vault.unsealed.left(RECORDER) == []
    assert vault.unsealed.left_before() == [left]
    assert left.original in vault.unsealed.files()


def test_copy_stays_while_the_sealed_original_is_not_where_it_should_be(bench: Bench) -> None:
    left, sealed = bench.keep(day=1), bench.keep(day=2)
    sealed.original.unlink()
    vault = bench.restart(sealed=sealed.where)
    assert [each.original for each in vault.unsealed.left_before()] == [left.original]
    assert left.original.read_bytes() == CONTENT


def test_mark_of_what_never_got_its_name_goes(bench: Bench) -> None:
    bench.keep().original.unlink()
    assert bench.restart(sealed=None).unsealed.left(RECORDER) == []
    assert bench.marks() == []


@pytest.mark.parametrize("torn", [b"", b"{", b"[]", b'{"of": {}, "where": {}}'])
def test_torn_mark_goes_and_the_original_is_left_for_the_check_to_find(bench: Bench, torn: bytes) -> None:
    left = bench.keep()
    left.mark.write_bytes(torn)
    assert bench.restart(sealed=None).unsealed.left(RECORDER) == []
    assert bench.marks() == []
    assert left.original.exists()
