"""Ids, escaped paths and file names: what comes from outside never becomes a name unchecked."""

import hashlib
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edged.errors import MalformedError
from edged.evidence import ids
from edged.evidence.ids import EpochId, RecorderId, Sha256, StationId

SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


@pytest.mark.parametrize("text", ["a", "_", "A-1.b_c", "0" * 64, "x."])
def test_valid_ids(text: str) -> None:
    assert ids.is_id(text)
    assert ids.to_id(text) == text


@pytest.mark.parametrize("text", ["", ".a", "-a", "a b", "a/b", "a\n", "é", "a" * 65, "..", "警号", "a\x00", "١"])
def test_other_identifiers_are_mapped_to_a_valid_one(text: str) -> None:
    assert not ids.is_id(text)
    assert ids.is_id(ids.to_id(text))
    assert ids.to_id(text).endswith("-" + hashlib.sha256(text.encode()).hexdigest()[:8])


@settings(deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_any_text_maps_to_a_valid_id(text: str) -> None:
    assert ids.is_id(ids.to_id(text))


def test_identifiers_that_differ_only_in_what_is_replaced_stay_apart() -> None:
    assert len({ids.to_id(text) for text in ("a b", "a/b", "a:b", "张三", "李四")}) == 5


def test_no_bay_is_taken_for_what_a_person_handed_in() -> None:
    assert ids.bay_called("bay-07") == "bay-07"
    bay = ids.bay_called("intake-7")
    assert ids.is_id(bay)
    assert not ids.is_handed_in(bay)
    assert bay != ids.bay_called("intake-8")


def test_segment_id_is_that_of_the_page() -> None:
    sha256 = hashlib.sha256(b"footage").hexdigest()
    expected = hashlib.sha256(b"REC-1" + b"\x00" + hashlib.sha256(b"footage").digest()).hexdigest()[:32]
    assert ids.segment_id(RecorderId("REC-1"), Sha256(sha256)) == "sg-" + expected


@pytest.mark.parametrize("digest", ["", "ab", "AB" * 32, "g" * 64, "a" * 64 + "\n"])
def test_segment_id_of_what_is_no_digest_is_refused(digest: str) -> None:
    with pytest.raises(MalformedError):
        ids.segment_id(RecorderId("REC-1"), Sha256(digest))


def test_origin_goes_together_and_apart() -> None:
    station, epoch = StationId("nan-an_3"), EpochId("2026-11-0a1b")
    origin = ids.origin_of("evidence.example.org", station, epoch)
    assert origin == "evidence.example.org/nan-an_3/2026-11-0a1b"
    assert ids.split_origin(origin) == ("evidence.example.org", station, epoch)


@pytest.mark.parametrize(
    "origin", ["", "a/b", "a/b/c/d", "/b/c", "a b/b/c", "a+x/b/c", "a/../c", "a/b/c\n", "é/b/c", "-a/b/c"]
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(MalformedError):
        ids.split_origin(origin)
    domain, _, rest = origin.partition("/")
    with pytest.raises(MalformedError):
        ids.origin_of(domain, StationId(rest), EpochId("2026-11-0a1b/x"))


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"DCIM/100MEDIA/VID.MP4", "DCIM/100MEDIA/VID.MP4"),
        (b"100%.mp4", "100%25.mp4"),
        (b"a\nb\x00\x1f\x7f", "a%0Ab%00%1F%7F"),
        (b"\xff\xfe", "%FF%FE"),
        (b"\xe2\x82", "%E2%82"),
        (b"\xe2\x82A", "%E2%82A"),
        (b"\xed\xa0\x80", "%ED%A0%80"),
        (b"\xc0\x80", "%C0%80"),
        (b"\xf4\x90\x80\x80", "%F4%90%80%80"),
        ("警\u0080\u009f\ufffe😀".encode(), "警\u0080\u009f\ufffe😀"),
        (b"../../etc/passwd", "../../etc/passwd"),
        ("e\u0301".encode(), "e\u0301"),
    ],
)
def test_paths_are_escaped_as_the_page_says(raw: bytes, path: str) -> None:
    assert ids.escape_path(raw) == path
    assert ids.unescape_path(path) == raw


@settings(deadline=None)
@given(st.binary())
def test_escaping_loses_nothing(raw: bytes) -> None:
    path = ids.escape_path(raw)
    assert ids.unescape_path(path) == raw
    path.encode("utf-8")
    assert not re.search(r"[\x00-\x1f\x7f]", path)


@settings(deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=())))
@example("%")
@example("%4")
@example("%0a")
@example("%41")
@example("%C3%A9")
@example("\n")
@example("\udcff")
def test_no_two_spellings_of_a_path(path: str) -> None:
    try:
        raw = ids.unescape_path(path)
    except MalformedError:
        return
    assert ids.escape_path(raw) == path


@pytest.mark.parametrize("path", ["%", "%4", "%0a", "%41", "%C3%A9", "a\nb", "\udcff", "\x7f", "%E2%82%AC"])
def test_path_in_another_spelling_is_refused(path: str) -> None:
    with pytest.raises(MalformedError):
        ids.unescape_path(path)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("DCIM/100MEDIA/VID_1.MP4", "VID_1.MP4"),
        ("a/b c.mp4", "b_c.mp4"),
        ("a%0Ab.mp4", "a_0Ab.mp4"),
        ("警号.mp4", "__.mp4"),
        ("😀.mp4", "_.mp4"),
        (".hidden", "_.hidden"),
        ("..", "_._"),
        ("-rf", "_-rf"),
        ("a/chunks.sha256", "_chunks.sha256"),
        ("entry.json", "_entry.json"),
        ("Entry.JSON", "_Entry.JSON"),
        ("entry.tlog-proof", "_entry.tlog-proof"),
        ("_entry.json", "_entry.json"),
        ("con", "_con"),
        ("NUL.tar.gz", "_NUL.tar.gz"),
        ("com1.mp4", "_com1.mp4"),
        ("LPT9", "_LPT9"),
        ("COM0", "COM0"),
        ("COM10", "COM10"),
        ("console.mp4", "console.mp4"),
        ("con.", "_con_"),
        ("trailing.", "trailing_"),
        ("a" * 200 + ".mp4", "a" * 96 + ".mp4"),
        ("a" * 96 + ".mp4", "a" * 96 + ".mp4"),
        ("a" * 200, "a" * 100),
        ("a." + "b" * 200, "a." + "b" * 98),
        ("a" * 99 + "." + "b" * 120, "a" * 99 + "_"),
        ("警" * 85, "_" * 85),
        ("x/", "_"),
    ],
)
def test_bundle_names(path: str, name: str) -> None:
    assert ids.bundle_name(path) == name


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=400))
def test_no_hostile_name_leaves_its_folder_or_shadows_a_file_of_the_bundle(raw: bytes) -> None:
    name = ids.bundle_name(ids.escape_path(raw))
    assert SAFE_NAME.fullmatch(name)
    assert len(name) <= 100
    assert not name.endswith(".")
    assert name.lower() not in {"chunks.sha256", "entry.json", "entry.tlog-proof"}
    assert not re.fullmatch(r"(?i)(con|prn|aux|nul|com[1-9]|lpt[1-9])(\..*)?", name)
    assert ids.bundle_name(name) == name
