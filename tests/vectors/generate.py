"""Makes the test vectors; the same bytes every time, but for the token, which is kept (`--token` makes a new one).

    python -m tests.vectors.generate [--token]

The files are what an implementation of the evidence format is tested against; docs/evidence-format.md says how to read
them. Whoever changes one of them changes the format.
"""

import base64
import hashlib
import json
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path

from cryptography import x509

from edged.evidence import merkle, policy, tiles, timestamps
from edged.evidence.certificates import fingerprint, to_pem
from edged.evidence.digests import Digester, Digests
from edged.evidence.ids import RecorderId, bundle_name, escape_path, segment_id
from edged.evidence.note import vkey
from hwsim.authority import Authority
from tests.vectors.log import (
    FILM,
    LEAF,
    ORIGIN,
    ROOT,
    STAMPED,
    START,
    STATION,
    WITNESSES,
    Log,
    cosignature,
    key,
    revocation,
    seed,
    small_bundle,
    witness_key,
)

HERE = Path(__file__).parent
TOP = "ex-1"
TREE_SIZES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 11)
LENGTHS = (0, 1, 8_388_607, 8_388_608, 8_388_609, 16_777_221)
CONTENT = bytes(range(251))
RAW_PATHS = (
    b"DCIM/100/A.MP4",
    "a b/ü 视频.mp4".encode(),
    b"100%/x%20y",
    b"x/\xff\x00\n\x7f.jpg",
    b"\xed\xa0\x80",
    "\u0085".encode(),
    b"../../etc/passwd",
    b".hidden",
    b"-rf",
    b"...",
    b"ends.",
    b"ENTRY.json",
    b"chunks.sha256",
    b"report.json",
    b"con",
    b"Com1.tar.gz",
    b"com10",
    b"nul.",
    b"n" * 101,
    b"n" * 100 + b".mp4",
    b"n." + b"e" * 120,
    b"." * 101,
)


def content(length: int) -> bytes:
    """Give the content of a length: byte number i is i modulo 251."""
    return (CONTENT * (length // len(CONTENT) + 1))[:length]


def digests_of(data: bytes) -> Digests:
    digester = Digester()
    digester.update(data)
    return digester.finish()


def digests() -> object:
    found = []
    for length in LENGTHS:
        data = content(length)
        each = digests_of(data)
        found.append(
            {
                "bytes": length,
                "sha256": each.sha256,
                "sm3": hashlib.new("sm3", data).hexdigest(),
                "chunks": [part.hex() for part in each.parts],
                "chunks_sha256": each.chunks_sha256,
                "composite": each.composite,
            }
        )
    return {"content": "byte number i is i modulo 251", "files": found}


def names() -> object:
    recorders = ("rec-1", "EG01234", "_", "a" * 64)
    return {
        "paths": [
            {"raw": raw.hex(), "path": escape_path(raw), "name": bundle_name(escape_path(raw))} for raw in RAW_PATHS
        ],
        "segments": [
            {
                "recorder": name,
                "sha256": digests_of(name.encode()).sha256,
                "segment": segment_id(RecorderId(name), digests_of(name.encode()).sha256),
            }
            for name in recorders
        ],
    }


def entries(log: Log) -> object:
    good, digest = log.entries[2], hashlib.sha256(FILM).hexdigest().encode()

    def altered(old: bytes, new: bytes) -> bytes:
        assert old in good
        return good.replace(old, new, 1)

    wrong = {
        "a blank between tokens": altered(b'"important":false', b'"important": false'),
        "a line end after the object": good + b"\n",
        "a byte order mark": b"\xef\xbb\xbf" + good,
        "a key of the envelope that is not known": altered(b',"v":1}', b',"v":1,"x":1}'),
        "a key twice": altered(b'"important":false', b'"important":false,"important":false'),
        "a floating-point number": altered(b'"uncertainty_ms":1000', b'"uncertainty_ms":1000.0'),
        "a number of 2^53": altered(b'"uncertainty_ms":1000', b'"uncertainty_ms":9007199254740992'),
        "a lone surrogate": altered(b"Asia/Shanghai", b"\\ud800"),
        "invalid UTF-8": altered(b"Asia/Shanghai", b"\xff"),
        "a needless escape": altered(b"Asia/Shanghai", b"Asia\\u002fShanghai"),
        "an id that is none": altered(b'"docking":"dock-1"', b'"docking":"-dock"'),
        "a digest in upper case": altered(digest, digest.upper()),
        "a key that is missing": altered(b'"important":false,', b""),
        "null where it is not allowed": altered(b'"important":false', b'"important":null'),
        "a path with a needless escape": altered(b"DCIM/100", b"DCIM%2F100"),
        "a time without milliseconds": altered(b":02.123Z", b":02Z"),
        "another version": altered(b',"v":1}', b',"v":2}'),
        "no object": b"[]",
        "nothing": b"",
    }
    unknown = altered(b'"type":"segment"', b'"type":"novelty"')
    return {
        "valid": [
            {"reference": hashlib.sha256(data).hexdigest(), "entry": data.decode()}
            for data in [*log.entries, unknown, altered(b'"body":{"bytes"', b'"body":{"a_later_key":[],"bytes"')]
        ],
        "not_valid": [{"why": why, "base64": base64.b64encode(data).decode()} for why, data in wrong.items()],
    }


def tree() -> object:
    """Give roots and proofs over the entries "0", "1", "2" …, as RFC 6962, section 2.1, has them."""
    leaves = [str(number).encode() for number in range(max(TREE_SIZES))]
    nodes: dict[tuple[int, int], bytes] = {}

    def read(level: int, index: int) -> bytes:
        return nodes[level, index]

    for number, leaf in enumerate(leaves):
        for level, index, node in merkle.appended_nodes(number, merkle.leaf_hash(leaf), read):
            nodes[level, index] = node

    def hexed(hashes: Sequence[bytes]) -> list[str]:
        return [each.hex() for each in hashes]

    return {
        "entries": [leaf.decode() for leaf in leaves],
        "roots": {str(size): merkle.root(size, read).hex() for size in TREE_SIZES},
        "inclusion": [
            {"index": index, "size": size, "proof": hexed(merkle.inclusion_proof(index, size, read))}
            for size in TREE_SIZES
            for index in range(size)
        ],
        "consistency": [
            {"old": old, "new": new, "proof": hexed(merkle.consistency_proof(old, new, read))}
            for new in TREE_SIZES
            for old in TREE_SIZES
            if 0 < old < new
        ],
        "tiles": [
            {
                "old": old,
                "new": new,
                "paths": [
                    path
                    for each in tiles.tiles_for(old, new)
                    for path in (
                        tiles.tile_path(*each),
                        *([tiles.entries_path(each.n, each.width)] if each.level == 0 else []),
                    )
                ],
            }
            for old, new in ((0, 1), (0, 256), (256, 257), (250, 70_000 // 100), (255, 513))
        ],
        "tile": tiles.tile_bytes(tiles.Tile(0, 0, len(leaves)), read).hex(),
        "entry_bundle": tiles.bundle_entries(leaves).hex(),
    }


POLICIES = {
    "one witness": "quorum w1",
    "any of a group": "group them any w1 w2\nquorum them",
    "all of a group": "group them all w1 w2\nquorum them",
    "one of two": "group them 1 w1 w2\nquorum them",
    "a group in a group": "group inner all w1\ngroup outer all inner w2\nquorum outer",
    "nobody": "quorum none",
}


def notes(log: Log) -> object:
    size = len(log.entries)
    note = log.checkpoint(size)
    lines = {name: cosignature(name, note, STAMPED + timedelta(minutes=at)) for at, name in enumerate(WITNESSES)}
    head = "".join(f"witness w{at} {witness_key(name)}\n" for at, name in enumerate(WITNESSES, 1))
    evaluations = []
    for what, rule in POLICIES.items():
        for given in ((), WITNESSES[:1], WITNESSES[1:], WITNESSES):
            rules = policy.parse(f"{head}{rule}\n".encode())
            found = rules.moment(
                rules.times(note.decode().partition("\n\n")[0] + "\n", [lines[name] for name in given])
            )
            time = None if found is None else int(found.timestamp())
            evaluations.append({"policy": what, "cosigned_by": list(given), "time": time})
    return {
        "keys": keys(),
        "checkpoint": note.decode(),
        "cosignatures": {name: line.decode() for name, line in lines.items()},
        "policies": {what: f"{head}{rule}\n" for what, rule in POLICIES.items()},
        "evaluations": evaluations,
    }


def keys() -> object:
    """Give each key's seed (RFC 8032) and public half."""
    held = {ORIGIN: ("station", vkey(ORIGIN, key("station").public_key().public_bytes_raw()))}
    held |= {name: (name, witness_key(name)) for name in WITNESSES}
    return {name: {"seed": seed(of).hex(), "vkey": public} for name, (of, public) in held.items()}


DAY = timedelta(days=1)
JUDGED: Sequence[tuple[str, str, datetime, str | None, str]] = (
    (STATION, ORIGIN, START, None, "verified"),
    ("st-08", ORIGIN, START, None, "failed"),
    (STATION, ORIGIN.replace("ab12", "ab13"), START, None, "failed"),
    (STATION, ORIGIN, START - 2 * DAY, None, "failed"),
    (STATION, ORIGIN, START + 401 * DAY, None, "failed"),
    (STATION, ORIGIN, START, "superseded.pem", "failed"),
    (STATION, ORIGIN, START - DAY / 2, "superseded.pem", "verified"),
    (STATION, ORIGIN, START, "stolen.pem", "not-established"),
    (STATION, ORIGIN, START - DAY / 2, "stolen.pem", "verified"),
)
"""Station, origin, T, revocation list, verdict of `identity` under the root."""


def identities() -> object:
    return {
        "root_sha256": fingerprint(ROOT),
        "judged": [
            {
                "station": station,
                "origin": origin,
                "at": at.replace(microsecond=0).isoformat(),
                "crl": crl,
                "verdict": verdict,
            }
            for station, origin, at, crl, verdict in JUDGED
        ],
    }


OPEN = "not-established"
VERDICTS = {
    "nothing": {"selection": OPEN, "custody": OPEN, "identity": OPEN, "time": OPEN},
    "root": {"time": OPEN},
    "root and authority": {},
    "root and policy": {},
    "root, authority and revocation list": {"identity": OPEN, "custody": OPEN, "selection": OPEN},
}
"""By what the verifier brings along: the checks that are not verified. None ever fails."""


def bundle(files: dict[str, bytes]) -> bytes:
    """Write the bundle as a zip, in the form of section 6."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            header = zipfile.ZipInfo(f"{TOP}/{name}", (1980, 1, 1, 0, 0, 0))
            header.create_system, header.external_attr = 3, 0o100644 << 16
            archive.writestr(header, files[name])
    return out.getvalue()


def vectors(token: bytes, tsa: bytes) -> dict[str, bytes]:
    """Give every file of the vectors by its name, from the token and its authority's root."""
    log, files = small_bundle(token)
    rules = POLICIES["all of a group"]
    witnesses = "".join(f"witness w{at} {witness_key(name)}\n" for at, name in enumerate(WITNESSES, 1))
    since = START - DAY / 4
    plain = {
        "digests.json": digests(),
        "names.json": names(),
        "entries.json": entries(log),
        "tree.json": tree(),
        "notes.json": notes(log),
        "certificates/judged.json": identities(),
        "time/token.json": {"over": "checkpoint", "time": int(STAMPED.timestamp())},
        "bundle/verdicts.json": [
            {"given": given, "verdict": OPEN if opened else "verified", "not_verified": opened}
            for given, opened in VERDICTS.items()
        ],
    }
    made = {name: json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n" for name, value in plain.items()}
    return made | {
        "certificates/root.pem": to_pem([ROOT]),
        "certificates/station.pem": to_pem([LEAF]),
        "certificates/superseded.pem": revocation(x509.ReasonFlags.superseded, since),
        "certificates/stolen.pem": revocation(x509.ReasonFlags.key_compromise, since),
        "time/checkpoint": log.checkpoint(len(log.entries)),
        "time/token.tsr": token,
        "time/tsa.pem": tsa,
        "bundle/policy.txt": f"{witnesses}{rules}\n".encode(),
        "bundle/bundle.zip": bundle(files),
    }


def new_token() -> tuple[bytes, bytes]:
    """Have a new authority stamp the last checkpoint."""
    log, _ = small_bundle(None)
    with tempfile.TemporaryDirectory() as folder:
        term = {"not_before": START - 30 * DAY, "not_after": START + 20 * 365 * DAY}
        authority = Authority(Path(folder), name="Authority of the test vectors", **term).make()  # type: ignore[arg-type]
        asked = timestamps.request(log.checkpoint(len(log.entries)), 7)
        return authority.stamp(asked, at=STAMPED), authority.root_pem


def main(arguments: Sequence[str]) -> None:
    if "--token" in arguments:
        token, tsa = new_token()
    else:
        token, tsa = ((HERE / "time" / name).read_bytes() for name in ("token.tsr", "tsa.pem"))
    for name, data in vectors(token, tsa).items():
        path = HERE / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)


if __name__ == "__main__":
    main(sys.argv[1:])
