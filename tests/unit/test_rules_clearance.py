"""INV-1: a file may be erased only if every single fact says so. Each one alone, missing or wrong, keeps it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.evidence.ids import DockingId, EntryRef, EpochId, SegmentId, StoreId
from edged.rules.clearance import (
    VAULT,
    CardFile,
    Clearance,
    ClearanceFacts,
    Cleared,
    Copy,
    Kept,
    Proof,
    clearance,
)

EPOCH = EpochId("2026-11-abcd")
OLD_EPOCH = EpochId("2026-01-0123")
CENTRAL, SECOND = StoreId("central"), StoreId("second")
SIZE = 100
NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
SEALED = NOW - timedelta(days=30)


def proof(seq: int, epoch: EpochId = EPOCH) -> Proof:
    return Proof(reference=EntryRef(f"{seq:064x}"), epoch=epoch, seq=seq)


def copy(segment: str, store: StoreId, seq: int) -> Copy:
    vault = store == VAULT
    return Copy(
        segment=SegmentId(segment),
        store=store,
        proof=proof(seq),
        verified="read-back" if vault else "server-checksum",
        method="o_direct on ext4" if vault else "COMPOSITE of 8 MiB parts",
        matches=True,
    )


def card_file(number: int) -> CardFile:
    segment, seq = f"sg-{number}", number * 10
    return CardFile(
        path=f"20261121/{number}.MP4",
        segment=SegmentId(segment),
        sealed=proof(seq),
        accounted=proof(seq + 1),
        quarantined=False,
        sealed_at=SEALED,
        copies=(copy(segment, VAULT, seq + 2), copy(segment, CENTRAL, seq + 3), copy(segment, SECOND, seq + 4)),
    )


GOOD = ClearanceFacts(
    docking=DockingId("d-1"),
    open=True,
    wipe="after-clearance",
    wipe_delay=timedelta(),
    now=NOW,
    unsealed=0,
    distrusted=0,
    stores=frozenset({CENTRAL, SECOND}),
    published={EPOCH: SIZE},
    files=(card_file(1), card_file(2)),
)


def first(facts: ClearanceFacts, **change: object) -> ClearanceFacts:
    return replace(facts, files=(replace(facts.files[0], **change), *facts.files[1:]))  # type: ignore[arg-type]


def first_copy(facts: ClearanceFacts, store: StoreId, /, **change: object) -> ClearanceFacts:
    copies = tuple(
        replace(item, **change) if item.store == store else item  # type: ignore[arg-type]
        for item in facts.files[0].copies
    )
    return first(facts, copies=copies)


def without_copy(facts: ClearanceFacts, store: StoreId) -> ClearanceFacts:
    return first(facts, copies=tuple(item for item in facts.files[0].copies if item.store != store))


Spoil = Callable[[ClearanceFacts], ClearanceFacts]

ALL: dict[str, tuple[Spoil, str]] = {
    "not docked any more": (lambda f: replace(f, open=False), "The recorder is not docked any more."),
    "set never to wipe": (lambda f: replace(f, wipe="never"), "The station is set never to erase recorders."),
    "unsealed files": (lambda f: replace(f, unsealed=1), "1 of the files on the card are not sealed yet."),
    "unsealed count that makes no sense": (lambda f: replace(f, unsealed=-1), "-1 of the files on the card"),
    "a file that is not trusted": (lambda f: replace(f, distrusted=1), "1 of the files on the card are in quarantine"),
    "quarantined": (lambda f: first(f, quarantined=True), "1 of the files on the card are in quarantine"),
    "no store": (lambda f: replace(f, stores=frozenset()), "No central store is configured."),
    "the vault named as the store": (
        lambda f: replace(f, stores=frozenset({VAULT})),
        "No central store is configured.",
    ),
}
"""What keeps every file."""

ONE: dict[str, tuple[Spoil, str]] = {
    "sealed less long ago than files stay": (
        lambda f: replace(first(f, sealed_at=NOW - timedelta(days=6)), wipe_delay=timedelta(days=7), now=NOW),
        "It stays on the recorder until 2026-11-23 08:00 UTC.",
    ),
    "never sealed": (lambda f: first(f, segment=None), "It is not sealed."),
    "no segment entry": (lambda f: first(f, sealed=None), "It is not sealed."),
    "seal not published": (lambda f: first(f, sealed=proof(SIZE)), "Its seal is not under a published checkpoint yet."),
    "seal in an epoch nobody published": (lambda f: first(f, sealed=proof(10, OLD_EPOCH)), "Its seal is not under"),
    "seal before the ledger": (lambda f: first(f, sealed=proof(-1)), "Its seal is not under"),
    "path not accounted for": (lambda f: first(f, accounted=None), "No entry of this docking says"),
    "sighting not published": (lambda f: first(f, accounted=proof(SIZE)), "This docking's entry about it is not under"),
    "not re-read": (lambda f: without_copy(f, VAULT), "Its copy in the vault was not re-read yet."),
    "vault copy differs": (lambda f: first_copy(f, VAULT, matches=False), "Its copy in the vault does not match"),
    "vault trusted by checksum": (
        lambda f: first_copy(f, VAULT, verified="server-checksum"),
        "was not shown to be read from the disk itself",
    ),
    "vault read from the page cache": (
        lambda f: first_copy(f, VAULT, method="buffered on ext4"),
        "was not shown to be read from the disk itself",
    ),
    "vault re-read by no stated method": (lambda f: first_copy(f, VAULT, method=""), "was not shown to be read"),
    "vault entry not published": (
        lambda f: first_copy(f, VAULT, proof=proof(SIZE)),
        "The entry about its copy in the vault is not under a published checkpoint yet.",
    ),
    "vault copy of another segment": (
        lambda f: first_copy(f, VAULT, segment=SegmentId("sg-2")),
        "Its copy in the vault was not re-read yet.",
    ),
    "not in the store": (lambda f: without_copy(f, CENTRAL), "Store central has no verified copy yet."),
    "not in every store": (lambda f: without_copy(f, SECOND), "Store second has no verified copy yet."),
    "store copy differs": (lambda f: first_copy(f, CENTRAL, matches=False), "The copy in store central does not match"),
    "store copy not verified": (
        lambda f: first_copy(f, CENTRAL, verified="uploaded"),
        "The copy in store central was verified in a way that proves nothing.",
    ),
    "store entry not published": (
        lambda f: first_copy(f, CENTRAL, proof=proof(SIZE)),
        "The entry about its copy in store central is not under a published checkpoint yet.",
    ),
    "store copy of another segment": (
        lambda f: first_copy(f, CENTRAL, segment=SegmentId("sg-2")),
        "Store central has no verified copy yet.",
    ),
    "copy in a store that is not configured": (
        lambda f: first_copy(f, CENTRAL, store=StoreId("elsewhere")),
        "Store central has no verified copy yet.",
    ),
    "a newer copy that differs": (
        lambda f: first(f, copies=(*f.files[0].copies, replace(copy("sg-1", CENTRAL, 50), matches=False))),
        "The copy in store central does not match",
    ),
}
"""What keeps one file."""


def reasons(answer: Clearance, number: int) -> tuple[str, ...]:
    verdict = answer.files[number].verdict
    return verdict.reasons if isinstance(verdict, Kept) else ()


def test_with_every_fact_the_files_are_cleared_by_their_replica_entries() -> None:
    answer = clearance(GOOD)
    assert [file.path for file in answer.files] == ["20261121/1.MP4", "20261121/2.MP4"]
    assert answer.files[0].verdict == Cleared(proofs=tuple(proof(seq).reference for seq in (12, 13, 14)))
    assert answer.docking == Cleared(proofs=tuple(proof(seq).reference for seq in (12, 13, 14, 22, 23, 24)))


def test_the_last_published_entry_is_enough() -> None:
    assert isinstance(clearance(first(GOOD, sealed=proof(SIZE - 1))).files[0].verdict, Cleared)


def test_entries_of_an_earlier_published_epoch_are_enough() -> None:
    facts = replace(first(GOOD, sealed=proof(500, OLD_EPOCH)), published={EPOCH: SIZE, OLD_EPOCH: 501})
    assert isinstance(clearance(facts).files[0].verdict, Cleared)


def test_pages_dropped_and_not_resident_are_as_good_as_direct_reading() -> None:
    facts = first_copy(GOOD, VAULT, method="dropped and not resident on ext4")
    assert isinstance(clearance(facts).files[0].verdict, Cleared)


def test_a_read_back_from_the_store_is_as_good_as_its_checksum() -> None:
    facts = first_copy(GOOD, CENTRAL, verified="read-back")
    assert isinstance(clearance(facts).files[0].verdict, Cleared)


@pytest.mark.parametrize("name", ALL)
def test_each_fact_about_the_docking_alone_keeps_every_file(name: str) -> None:
    spoil, said = ALL[name]
    answer = clearance(spoil(GOOD))
    for number in range(2):
        assert any(reason.startswith(said) or said in reason for reason in reasons(answer, number))
    assert isinstance(answer.docking, Kept)
    assert any(said in reason for reason in answer.docking.reasons)


@pytest.mark.parametrize("name", ONE)
def test_each_fact_about_a_file_alone_keeps_that_file_and_no_other(name: str) -> None:
    spoil, said = ONE[name]
    answer = clearance(spoil(GOOD))
    assert len(reasons(answer, 0)) == 1
    assert said in reasons(answer, 0)[0]
    assert isinstance(answer.files[1].verdict, Cleared)
    assert answer.docking == Kept(reasons=("1 of 2 files on the card are not cleared.",))


def test_nothing_published_keeps_everything() -> None:
    for published in ({}, {EPOCH: 0}, {OLD_EPOCH: 10_000}):
        answer = clearance(replace(GOOD, published=published))
        assert all(isinstance(file.verdict, Kept) for file in answer.files)


def test_an_empty_card_is_cleared_without_proofs() -> None:
    answer = clearance(replace(GOOD, files=()))
    assert answer.files == ()
    assert answer.docking == Cleared(proofs=())


def test_a_card_with_nothing_but_unsealed_files_is_not_empty() -> None:
    assert isinstance(clearance(replace(GOOD, files=(), unsealed=3)).docking, Kept)


def holds(facts: ClearanceFacts, file: CardFile) -> bool:
    """Say INV-1 once more, as plainly as it stands in the design, to compare with."""

    def published(entry: Proof | None) -> bool:
        return entry is not None and 0 <= entry.seq < facts.published.get(entry.epoch, 0)

    def newest(store: StoreId) -> Copy | None:
        mine = [item for item in file.copies if item.store == store and item.segment == file.segment]
        return mine[-1] if mine else None

    vault = newest(VAULT)
    in_vault = (
        vault is not None
        and vault.verified == "read-back"
        and vault.method != "buffered on ext4"
        and vault.matches
        and published(vault.proof)
    )
    in_stores = [
        (found := newest(store)) is not None and found.matches and published(found.proof)
        for store in facts.stores
        if store != VAULT
    ]
    return (
        facts.open
        and facts.wipe == "after-clearance"
        and facts.unsealed == 0
        and facts.distrusted == 0
        and not any(each.quarantined for each in facts.files)
        and (not facts.wipe_delay or file.sealed_at + facts.wipe_delay <= facts.now)
        and file.segment is not None
        and published(file.sealed)
        and published(file.accounted)
        and in_vault
        and bool(in_stores)
        and all(in_stores)
    )


MOSTLY = st.sampled_from([True] * 9 + [False])
PROOFS = st.builds(
    proof, st.sampled_from([0, 1, SIZE - 1, SIZE - 1, 5, SIZE]), st.sampled_from([EPOCH] * 8 + [OLD_EPOCH])
)
COPIES = st.builds(
    lambda segment, store, entry, matches, direct: replace(
        copy(segment, store, 0),
        proof=entry,
        matches=matches,
        method="o_direct on ext4" if direct else "buffered on ext4",
    ),
    st.sampled_from(["sg-1"] * 9 + ["sg-2"]),
    st.sampled_from([VAULT, CENTRAL, SECOND]),
    PROOFS,
    MOSTLY,
    MOSTLY,
)
FILES = st.builds(
    CardFile,
    path=st.just("a"),
    segment=st.sampled_from([SegmentId("sg-1")] * 9 + [None]),
    sealed=st.one_of(PROOFS, PROOFS, PROOFS, st.none()),
    accounted=st.one_of(PROOFS, PROOFS, PROOFS, st.none()),
    quarantined=MOSTLY.map(lambda ok: not ok),
    copies=st.lists(COPIES, min_size=1, max_size=6).map(tuple),
    sealed_at=st.sampled_from([SEALED, NOW + timedelta(hours=1)]),
)
FACTS = st.builds(
    ClearanceFacts,
    docking=st.just(GOOD.docking),
    open=MOSTLY,
    wipe=st.sampled_from(["after-clearance"] * 9 + ["never"]),
    wipe_delay=st.sampled_from([timedelta()] * 4 + [timedelta(days=1), timedelta(days=31)]),
    now=st.just(NOW),
    unsealed=st.sampled_from([0] * 9 + [1]),
    distrusted=st.sampled_from([0] * 9 + [1]),
    stores=st.sampled_from([frozenset({CENTRAL}), frozenset({CENTRAL, SECOND}), frozenset({VAULT}), frozenset()]),
    published=st.sampled_from([{EPOCH: SIZE}, {EPOCH: SIZE, OLD_EPOCH: 3}, {}]),
    files=st.lists(FILES, max_size=3).map(tuple),
)


@settings(deadline=None, max_examples=500)
@given(facts=FACTS)
def test_cleared_means_that_all_of_it_holds_and_kept_says_why(facts: ClearanceFacts) -> None:
    answer = clearance(facts)
    assert len(answer.files) == len(facts.files)
    for file, given_back in zip(facts.files, answer.files, strict=True):
        assert isinstance(given_back.verdict, Cleared) == holds(facts, file)
        if isinstance(given_back.verdict, Cleared):
            held = {item.proof.reference for item in file.copies}
            assert set(given_back.verdict.proofs) <= held
            assert given_back.verdict.proofs
        else:
            assert all(reason.endswith(".") for reason in given_back.verdict.reasons)
            assert given_back.verdict.reasons
    every = all(isinstance(file.verdict, Cleared) for file in answer.files)
    if isinstance(answer.docking, Cleared):
        assert every
    elif every:
        assert answer.docking.reasons


@settings(deadline=None, max_examples=200)
@given(names=st.lists(st.sampled_from(sorted({*ALL, *ONE})), min_size=1, max_size=4))
def test_no_two_wrongs_make_a_clearance(names: list[str]) -> None:
    facts = GOOD
    for name in names:
        facts = (ALL | ONE)[name][0](facts)
    assert isinstance(clearance(facts).files[0].verdict, Kept)
