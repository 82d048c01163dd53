"""Entries: every type of the page goes through its bytes and back, and nothing else passes for one."""

import copy
import dataclasses
import hashlib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.errors import MalformedError
from edged.evidence import bodies, canonical, entry
from edged.evidence.bodies import BODIES
from edged.evidence.digests import CHUNK_BYTES
from edged.evidence.entry import ZERO_REF, Entry
from edged.evidence.ids import EpochId, StationId

HEX, REF, SEG = "ab" * 32, "cd" * 32, "sg-" + "0" * 32
ROOT = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
ORIGIN = "example.org/st-1/2026-11-0a1b"
REASON = {"code": "court-order", "text": HEX}
SUBJECT = {"kind": "segment", "id": SEG}
RECORDED = {
    "start": "2026-11-21T15:59:58+08:00",
    "end": None,
    "zone": "Asia/Shanghai",
    "source": "filename",
    "uncertainty_ms": 1000,
}

SAMPLES: dict[str, dict[str, Any]] = {
    "genesis": {
        "origin": ORIGIN,
        "public_key": "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "certificate_sha256": HEX,
        "previous": {"origin": ORIGIN, "size": 7, "root": ROOT},
        "software": "edged 0.1.0",
        "reason": REASON,
    },
    "docking": {
        "docking": "dk-1",
        "bay": "pci-0000:00:14.0-usb-0:1:1.0",
        "recorder": {"id": "R1", "vendor": "V", "model": "M", "serial": "", "known": True},
        "officer": None,
        "inventory_sha256": HEX,
        "files": 3,
        "bytes": 2**53 - 1,
        "clock_offset_ms": -1500,
        "clock_uncertainty_ms": None,
        "clock_set": False,
        "missing": 0,
    },
    "segment": {
        "segment": SEG,
        "docking": "dk-1",
        "path": "DCIM/100%25%0A警.MP4",
        "bytes": 0,
        "sha256": HEX,
        "sm3": HEX,
        "chunks": {"size": 8388608, "count": 0, "sha256": HEX},
        "recorder": "R1",
        "recorder_seq": 1,
        "recorder_prev": None,
        "officer": "012345",
        "recorded": RECORDED,
        "media": {"container": "mp4", "video": "h264", "audio": None, "duration_ms": 60000},
        "important": False,
        "side_of": None,
        "quarantine": {"code": "unstable", "unreadable": [[0, 512], [4096, 8192]], "second_sha256": HEX},
    },
    "sighting": {"segment": SEG, "docking": "dk-1", "path": "a"},
    "undocking": {"docking": "dk-1", "outcome": "interrupted", "remaining": 4},
    "clearance": {"docking": "dk-1", "items": [{"segment": SEG, "path": "a"}], "proofs": [REF]},
    "wipe": {
        "docking": "dk-1",
        "segment": SEG,
        "path": "a",
        "sha256": HEX,
        "clearance": REF,
        "outcome": "gone",
    },
    "anomaly": {"kind": "grew", "docking": None, "subject": SUBJECT, "detail": {"bytes": 4, "list": [None]}},
    "classification": {
        "segment": SEG,
        "case": None,
        "matter": "M-1",
        "stage": None,
        "secrecy": "internal",
        "publicity": None,
        "rule": None,
        "clause": None,
        "policy": HEX,
        "retain_until": "undetermined",
        "basis": "rule",
        "confidence": 100,
        "supersedes": None,
        "reason": REASON,
    },
    "correction": {
        "segment": SEG,
        "officer": "o1",
        "recorder": "R2",
        "recorded": {"start": "2026-11-21T15:59:58+08:00", "end": None},
        "reason": REASON,
    },
    "hold": {"hold": "h1", "subject": SUBJECT, "action": "placed", "reason": REASON, "reference": "2026-77"},
    "derivative": {
        "segment": SEG,
        "parent_sha256": HEX,
        "kind": "proxy",
        "sha256": HEX,
        "bytes": 5,
        "tool": "ffmpeg 5.1",
        "arguments": ["-i", "in"],
    },
    "replica": {
        "segment": SEG,
        "store": "central",
        "key": "segments/R1/…",
        "version": None,
        "checksum": "x-1",
        "checksum_type": "COMPOSITE",
        "verified": "server-checksum",
        "method": "multipart",
        "locked_until": "2027-11-21T00:00:00Z",
        "lock_mode": "COMPLIANCE",
        "stored": {"sha256": HEX, "chunks": {"size": 8388608, "count": 1, "sha256": HEX}},
    },
    "retire": {"segment": SEG, "store": "vault", "proofs": [REF]},
    "disposal": {
        "segment": SEG,
        "sha256": HEX,
        "rule": "r",
        "clause": "art. 13",
        "approvals": ["user:a"],
        "stores": ["vault"],
        "phase": "ordered",
    },
    "policy": {"kind": "retention", "sha256": HEX, "previous": None, "phase": "active", "approvals": []},
    "export": {"export": "ex-1", "selection": {"case": "c1"}, "purpose": REASON, "list_sha256": HEX},
    "review": {"subject": SUBJECT, "action": "sampled", "outcome": "complete", "reason": REASON},
    "disclosure": {"subject": SUBJECT, "action": "published", "outcome": None, "reason": REASON},
    "anchor": {"kind": "rfc3161", "origin": ORIGIN, "size": 9, "root": ROOT, "sha256": HEX, "by": "TSA"},
    "close": {"reason": REASON, "next": None},
}

KNOWN = sorted(SAMPLES)


def document(kind: str, body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    whole = {
        "v": 1,
        "type": kind,
        "station": "st-1",
        "epoch": "2026-11-0a1b",
        "seq": 5,
        "prev": REF,
        "time": "2026-11-21T08:00:00.123Z",
        "clock": "synchronised",
        "actor": "edged",
        "body": body,
    }
    return whole | changes


def parse(kind: str, body: dict[str, Any], **changes: Any) -> Entry:
    return entry.parse(canonical.encode(document(kind, body, **changes)))


def test_every_type_of_the_page_has_a_sample_here() -> None:
    assert set(SAMPLES) == set(BODIES)
    assert len(BODIES) == 21


@pytest.mark.parametrize("kind", KNOWN)
def test_every_type_goes_through_its_bytes_and_back(kind: str) -> None:
    data = canonical.encode(document(kind, SAMPLES[kind]))
    read = entry.parse(data)
    assert type(read.body) is BODIES[kind]
    assert entry.encode(read) == data
    assert entry.reference(data) == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("kind", KNOWN)
def test_every_missing_key_of_a_body_is_noticed_but_the_optional(kind: str) -> None:
    for key in SAMPLES[kind]:
        without = {other: value for other, value in SAMPLES[kind].items() if other != key}
        if key in BODIES[kind].OPTIONAL:
            assert entry.encode(parse(kind, without)) == canonical.encode(document(kind, without))
        else:
            with pytest.raises(MalformedError, match=f"body.{key}"):
                parse(kind, without)


@pytest.mark.parametrize("kind", [kind for kind in KNOWN if BODIES[kind].OPTIONAL])
def test_optional_key_is_left_out_and_never_null(kind: str) -> None:
    for key in BODIES[kind].OPTIONAL:
        with pytest.raises(MalformedError, match=f"body.{key}"):
            parse(kind, SAMPLES[kind] | {key: None})


@pytest.mark.parametrize("kind", KNOWN)
def test_further_keys_of_a_body_are_kept(kind: str) -> None:
    further = {"ünknown": [1, {"a": None}], "copy": 1, "model_dump": {}, "TYPE": "x", "__class__": None}
    body = SAMPLES[kind] | further
    read = parse(kind, body)
    assert entry.encode(read) == canonical.encode(document(kind, body))


@settings(deadline=None)
@given(
    st.dictionaries(
        st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.none() | st.integers(-9, 9), max_size=4
    )
)
def test_any_further_key_is_kept(further: dict[str, Any]) -> None:
    body = further | SAMPLES["sighting"]
    assert entry.encode(parse("sighting", body)) == canonical.encode(document("sighting", body))


@pytest.mark.parametrize("kind", KNOWN)
def test_value_of_another_json_type_is_refused(kind: str) -> None:
    open_keys = {"reference", "arguments", "outcome"}
    for key, value in SAMPLES[kind].items():
        wrong = {} if isinstance(value, str | int | list) or value is None else "text"
        if key in open_keys and kind in {"hold", "derivative", "review", "disclosure"}:
            continue
        with pytest.raises(MalformedError, match=f"body.{key}"):
            parse(kind, SAMPLES[kind] | {key: wrong})


def test_unknown_type_is_valid_and_kept_as_it_is() -> None:
    body = {"anything": [1, "x", None]}
    read = parse("of-a-later-version", body)
    assert read.body == body
    assert entry.encode(read) == canonical.encode(document("of-a-later-version", body))


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("segment", ["path"], "/etc/passwd"),
        ("segment", ["path"], ""),
        ("segment", ["path"], "a\nb"),
        ("segment", ["path"], "%41"),
        ("segment", ["sha256"], HEX.upper()),
        ("segment", ["sha256"], HEX + "\n"),
        ("segment", ["sha256"], None),
        ("segment", ["segment"], "sg/../x"),
        ("segment", ["segment"], SEG + "\n"),
        ("segment", ["bytes"], -1),
        ("segment", ["bytes"], True),
        ("segment", ["bytes"], "1"),
        ("segment", ["recorder_seq"], 0),
        ("segment", ["important"], 1),
        ("segment", ["chunks", "size"], CHUNK_BYTES - 1),
        ("segment", ["chunks", "count"], -1),
        ("segment", ["recorded", "source"], "guess"),
        ("segment", ["recorded", "zone"], None),
        ("segment", ["recorded", "start"], "2026-11-21T15:59:58"),
        ("segment", ["recorded", "start"], "2026-11-21 15:59:58Z"),
        ("segment", ["recorded", "start"], "2026-02-30T15:59:58Z"),
        ("segment", ["recorded", "start"], "20261121T155958Z"),
        ("segment", ["recorded", "start"], "２026-11-21T15:59:58Z"),
        ("segment", ["recorded", "start"], "2026-11-21T15:59:58Z\n"),
        ("segment", ["media"], {"container": "mp4"}),
        ("segment", ["media"], {}),
        ("segment", ["quarantine", "unreadable"], [[5, 5]]),
        ("segment", ["quarantine", "unreadable"], [[1]]),
        ("segment", ["quarantine", "unreadable"], [[-1, 5]]),
        ("segment", ["quarantine", "unreadable"], {"0": 1}),
        ("undocking", ["outcome"], "removed"),
        ("wipe", ["outcome"], "erased"),
        ("wipe", ["clearance"], None),
        ("clearance", ["proofs"], [HEX.upper()]),
        ("clearance", ["items"], [{"segment": SEG}]),
        ("classification", ["retain_until"], "forever"),
        ("classification", ["retain_until"], "2026-02-30"),
        ("classification", ["retain_until"], "20261121"),
        ("classification", ["retain_until"], None),
        ("classification", ["basis"], "guess"),
        ("classification", ["confidence"], 101),
        ("hold", ["action"], "removed"),
        ("hold", ["subject", "kind"], "station"),
        ("hold", ["reason", "text"], "because"),
        ("derivative", ["kind"], "thumbnail"),
        ("replica", ["verified"], "etag"),
        ("replica", ["locked_until"], "2027-11-21"),
        ("disposal", ["phase"], "planned"),
        ("policy", ["phase"], "draft"),
        ("anchor", ["kind"], "blockchain"),
        ("anchor", ["root"], ROOT[:-1]),
        ("anchor", ["root"], ROOT[:-2] + "J="),
        ("genesis", ["origin"], "example.org/st-1"),
        ("genesis", ["public_key"], "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"),
        ("genesis", ["previous", "root"], "x"),
        ("close", ["next"], "nowhere"),
    ],
)
def test_value_outside_its_set_is_refused(kind: str, path: list[str], value: Any) -> None:
    body = copy.deepcopy(SAMPLES[kind])
    place = body
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(MalformedError, match=f"{kind} entry: body.{path[0]}"):
        parse(kind, body)


@pytest.mark.parametrize("value", ["permanent", "undetermined", "2033-01-31"])
def test_terms(value: str) -> None:
    parse("classification", SAMPLES["classification"] | {"retain_until": value})


@pytest.mark.parametrize(
    "value", ["2026-11-21T15:59:58Z", "2026-11-21T15:59:58.5-03:30", "2026-11-21T15:59:58.123456789+00:00"]
)
def test_claimed_times(value: str) -> None:
    parse("segment", SAMPLES["segment"] | {"recorded": RECORDED | {"start": value}})


def test_unreadable_media_says_why() -> None:
    read = parse("segment", SAMPLES["segment"] | {"media": {"unreadable": "no moov"}, "quarantine": None})
    assert isinstance(read.body, bodies.Segment)
    assert isinstance(read.body.media, bodies.Unreadable)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("v", 2),
        ("v", True),
        ("v", "1"),
        ("type", 1),
        ("station", "a/b"),
        ("epoch", ""),
        ("seq", -1),
        ("seq", "5"),
        ("prev", None),
        ("prev", "0"),
        ("prev", "A" * 64),
        ("time", "2026-11-21T08:00:00Z"),
        ("time", "2026-11-21T08:00:00.12Z"),
        ("time", "2026-11-21T08:00:00.123456Z"),
        ("time", "2026-11-21T08:00:00.123+00:00"),
        ("time", "2026-11-21T16:00:00.123+08:00"),
        ("time", "2026-11-21t08:00:00.123z"),
        ("time", "2026-11-21T24:00:00.000Z"),
        ("time", "2026-11-21T08:00:60.000Z"),
        ("time", "2026-02-29T08:00:00.000Z"),
        ("time", "2026-11-21T08:00:00.123Z\n"),
        ("time", "２026-11-21T08:00:00.123Z"),
        ("clock", "ok"),
        ("actor", "root"),
        ("actor", "user:"),
        ("actor", "user:a b"),
        ("actor", "edged\n"),
        ("after", None),
        ("after", "x"),
        ("body", []),
        ("body", None),
        ("further", 1),
    ],
)
def test_envelope_is_closed_and_strict(key: str, value: Any) -> None:
    whole = document("sighting", SAMPLES["sighting"]) | {key: value}
    with pytest.raises(MalformedError, match=key):
        entry.parse(canonical.encode(whole))


@pytest.mark.parametrize("key", ["v", "type", "station", "epoch", "seq", "prev", "time", "clock", "actor", "body"])
def test_every_key_of_the_envelope_is_needed(key: str) -> None:
    whole = document("sighting", SAMPLES["sighting"])
    del whole[key]
    with pytest.raises(MalformedError, match=key):
        entry.parse(canonical.encode(whole))


@pytest.mark.parametrize("actor", ["edged", "user:zhang.san", "remote:supervision-1"])
def test_actors(actor: str) -> None:
    assert parse("sighting", SAMPLES["sighting"], actor=actor, after=HEX).actor == actor


def test_other_spelling_of_an_entry_is_refused() -> None:
    data = canonical.encode(document("sighting", SAMPLES["sighting"]))
    for other in (b" " + data, data + b"\n", data.replace(b'"v":1', b'"v": 1'), data.replace(b"edged", b"\\u0065dged")):
        with pytest.raises(MalformedError):
            entry.parse(other)


def test_floats_are_refused_even_in_further_keys() -> None:
    with pytest.raises(MalformedError):
        entry.parse(canonical.encode(document("sighting", SAMPLES["sighting"])).replace(b'"seq":5', b'"seq":5.0'))
    written = Entry(
        type="sighting",
        station=StationId("s"),
        epoch=EpochId("e"),
        seq=0,
        prev=ZERO_REF,
        time=datetime(2026, 11, 21, tzinfo=UTC),
        clock="synchronised",
        actor="edged",
        body=bodies.Sighting.model_validate(SAMPLES["sighting"] | {"speed": 1.5}),
    )
    with pytest.raises(MalformedError):
        entry.encode(written)


def test_entry_is_as_long_as_the_page_allows_and_no_longer() -> None:
    spare = entry.MAX_BYTES - len(canonical.encode(document("x", {"pad": ""})))
    assert entry.encode(parse("x", {"pad": "." * spare}))
    with pytest.raises(MalformedError, match="longer"):
        parse("x", {"pad": "." * (spare + 1)})


@pytest.mark.parametrize(
    "change",
    [
        {"body": {"segment": 1}},
        {"body": BODIES["undocking"].model_validate(SAMPLES["undocking"])},
        {"actor": "nobody"},
        {"seq": -1},
        {"seq": 2**53},
        {"prev": "x"},
        {"after": "x"},
        {"station": ""},
        {"clock": "fine"},
    ],
)
def test_nothing_is_written_that_would_not_be_read(change: dict[str, Any]) -> None:
    good = parse("sighting", SAMPLES["sighting"])
    with pytest.raises(MalformedError):
        entry.encode(dataclasses.replace(good, **change))


def test_time_is_written_in_utc_and_whole_milliseconds() -> None:
    good = parse("sighting", SAMPLES["sighting"])
    local = datetime(2026, 11, 21, 16, 0, 0, 123_999, tzinfo=timezone(timedelta(hours=8)))
    data = entry.encode(dataclasses.replace(good, time=local))
    assert b'"time":"2026-11-21T08:00:00.123Z"' in data
    assert entry.parse(data).time == datetime(2026, 11, 21, 8, 0, 0, 123_000, tzinfo=UTC)
