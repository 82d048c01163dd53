"""The vectors of `tests/vectors/`: the project agrees with each, and so does the verifier of `tests/independent/`."""

import base64
import hashlib
import json
import re
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from edged.bundles.load import open_target, verify_target
from edged.errors import MalformedError
from edged.evidence import cosignatures, merkle, policy, tiles, timestamps
from edged.evidence.bodies import BODIES
from edged.evidence.certificates import fingerprint, load_certificates, load_crls
from edged.evidence.digests import Digester
from edged.evidence.entry import parse, reference
from edged.evidence.identity import check_identity
from edged.evidence.ids import bundle_name, escape_path, segment_id, unescape_path
from edged.evidence.note import parse_checkpoint, parse_note, parse_vkey, verify
from edged.evidence.verification import Report, Trust
from tests.independent import verifier
from tests.unit.test_independent_verifier import not_verified
from tests.vectors import generate

HERE = Path(generate.__file__).parent
NOW = datetime(2026, 12, 1, tzinfo=UTC)


def read(name: str) -> Any:
    return json.loads((HERE / name).read_bytes())


def hashes(texts: list[str]) -> list[bytes]:
    return [bytes.fromhex(text) for text in texts]


def test_generating_them_again_gives_the_same_bytes() -> None:
    token, tsa = ((HERE / "time" / name).read_bytes() for name in ("token.tsr", "tsa.pem"))
    made = generate.vectors(token, tsa)
    here = {str(path.relative_to(HERE)) for path in HERE.rglob("*") if path.is_file()}
    assert {name for name in here if not name.endswith((".py", ".pyc", ".md"))} == set(made)
    assert [name for name, data in made.items() if (HERE / name).read_bytes() != data] == []


@pytest.mark.parametrize("expected", read("digests.json")["files"], ids=lambda each: str(each["bytes"]))
def test_digests_of_a_file(expected: dict[str, Any]) -> None:
    data = generate.content(expected["bytes"])
    digester = Digester(sm3=True)
    for at in range(0, len(data), 1_000_003):
        digester.update(data[at : at + 1_000_003])
    found = digester.finish()
    assert found.sha256 == expected["sha256"]
    assert found.sm3 == expected["sm3"]
    assert [part.hex() for part in found.parts] == expected["chunks"]
    assert found.chunks_sha256 == expected["chunks_sha256"]
    assert found.composite == expected["composite"]
    chunks = [data[at : at + verifier.CHUNK] for at in range(0, len(data), verifier.CHUNK)]
    assert [hashlib.sha256(chunk).hexdigest() for chunk in chunks] == expected["chunks"]


def test_paths_names_and_segment_ids() -> None:
    names = read("names.json")
    for each in names["paths"]:
        raw = bytes.fromhex(each["raw"])
        assert (escape_path(raw), unescape_path(each["path"])) == (each["path"], raw)
        assert bundle_name(each["path"]) == verifier.file_name_for(each["path"]) == each["name"]
        assert verifier.card_path(each["path"]) == (not each["path"].startswith("/"))
    for each in names["segments"]:
        assert segment_id(each["recorder"], each["sha256"]) == each["segment"]
        assert verifier.segment_id_of(each["recorder"], each["sha256"]) == each["segment"]


def test_entries_that_are_valid() -> None:
    for each in read("entries.json")["valid"]:
        data = each["entry"].encode()
        assert parse(data)
        assert reference(data) == each["reference"]
        assert verifier.read_entry(data)[1] == []


@pytest.mark.parametrize("each", read("entries.json")["not_valid"], ids=lambda each: str(each["why"]))
def test_an_entry_that_is_not_valid(each: dict[str, str]) -> None:
    data = base64.b64decode(each["base64"])
    with pytest.raises(MalformedError):
        parse(data)
    assert verifier.read_entry(data)[1] != []


def test_roots_and_proofs() -> None:
    tree = read("tree.json")
    leaves = [leaf.encode() for leaf in tree["entries"]]
    roots = {int(size): bytes.fromhex(root) for size, root in tree["roots"].items()}
    for each in tree["inclusion"]:
        index, size, proof, root = each["index"], each["size"], hashes(each["proof"]), roots[each["size"]]
        assert merkle.verify_inclusion(index, size, merkle.leaf_hash(leaves[index]), proof, root)
        assert verifier.included(verifier.leaf_hash(leaves[index]), index, size, proof, root)
        assert not merkle.verify_inclusion(index, size, merkle.leaf_hash(b"x"), proof, root)
    for each in tree["consistency"]:
        old, new, proof = each["old"], each["new"], hashes(each["proof"])
        assert merkle.verify_consistency(old, new, proof, roots[old], roots[new])
        assert verifier.consistent((old, roots[old]), (new, roots[new]), proof)
        assert not merkle.verify_consistency(old, new, proof, roots[new], roots[old])
    assert b"".join(merkle.leaf_hash(leaf) for leaf in leaves).hex() == tree["tile"]
    assert tiles.parse_bundle(bytes.fromhex(tree["entry_bundle"])) == leaves


def test_a_checkpoint_and_its_cosignatures() -> None:
    found = read("notes.json")
    data = found["checkpoint"].encode()
    note = parse_note(data)
    checkpoint = parse_checkpoint(note.text)
    own = parse_vkey(found["keys"][checkpoint.origin]["vkey"])
    assert verify(note, own)
    read_alone = verifier.Checkpoint.parse(data)
    assert (read_alone.origin, read_alone.size, read_alone.root) == (
        checkpoint.origin,
        checkpoint.size,
        checkpoint.root,
    )
    assert read_alone.problem_under(own.public) == ""
    for name, line in found["cosignatures"].items():
        assert cosignatures.verify(line.encode(), note.text, parse_vkey(found["keys"][name]["vkey"]))


def test_policies() -> None:
    found = read("notes.json")
    note = parse_note(found["checkpoint"].encode())
    for each in found["evaluations"]:
        text = found["policies"][each["policy"]].encode()
        lines = [found["cosignatures"][name] for name in each["cosigned_by"]]
        rules = policy.parse(text)
        moment = rules.moment(rules.times(note.text, [line.encode() for line in lines]))
        assert (None if moment is None else moment.timestamp()) == each["time"]
        judged = verifier.Policy.parse(text).judge(
            note.text.encode(), [verifier.Checkpoint.signature(line.rstrip("\n")) for line in lines]
        )
        assert (judged.moment.timestamp() if judged and judged.moment else None) == each["time"]


def certificates(name: str) -> list[x509.Certificate]:
    return load_certificates((HERE / name).read_bytes())


def test_certificates_and_revocation_lists() -> None:
    found = read("certificates/judged.json")
    (root,), (leaf,) = certificates("certificates/root.pem"), certificates("certificates/station.pem")
    assert fingerprint(root) == found["root_sha256"]
    for each in found["judged"]:
        crls = load_crls((HERE / "certificates" / each["crl"]).read_bytes()) if each["crl"] else []
        at = datetime.fromisoformat(each["at"])
        station, origin = each["station"], each["origin"]
        judged = check_identity(leaf, [], [root], station=station, origin=origin, at=at, crls=crls)
        assert judged.verdict == each["verdict"], each
        alone, _ = verifier.identity([leaf], station, origin, at, verifier.Trust([root], crls))
        assert alone.verdict == each["verdict"], each


def test_a_token() -> None:
    told = read("time/token.json")
    token, over = (HERE / "time/token.tsr").read_bytes(), (HERE / "time" / told["over"]).read_bytes()
    roots = certificates("time/tsa.pem")
    judged = timestamps.judge(token, over, roots, until=NOW)
    assert judged is not None
    assert judged.token is not None
    assert (judged.verdict, judged.token.moment.timestamp()) == ("verified", told["time"])
    alone = verifier.Tokens(verifier.Trust([], [], roots, None, NOW)).judge(token, over, NOW)
    assert alone is not None
    assert alone.moment is not None
    assert (alone.result.verdict, alone.moment.timestamp()) == ("verified", told["time"])


TRUSTED = {
    "nothing": {},
    "root": {"roots": True},
    "root and authority": {"roots": True, "tsa": True},
    "root and policy": {"roots": True, "policy": True},
    "root, authority and revocation list": {"roots": True, "tsa": True, "crl": True},
}


@pytest.mark.parametrize("expected", read("bundle/verdicts.json"), ids=lambda each: str(each["given"]))
def test_the_small_bundle(expected: dict[str, Any], tmp_path: Path) -> None:
    given = TRUSTED[expected["given"]]
    roots = certificates("certificates/root.pem") if "roots" in given else []
    crls = load_crls((HERE / "certificates/stolen.pem").read_bytes()) if "crl" in given else []
    authorities = certificates("time/tsa.pem") if "tsa" in given else []
    rules = (HERE / "bundle/policy.txt").read_bytes() if "policy" in given else None
    own = verify_target(
        HERE / "bundle/bundle.zip",
        Trust(
            roots=tuple(roots),
            crls=tuple(crls),
            authorities=tuple(authorities),
            policy=None if rules is None else policy.parse(rules),
            now=NOW,
        ),
    )
    assert (own.verdict, every(own.plain())) == (expected["verdict"], expected["not_verified"])
    with zipfile.ZipFile(HERE / "bundle/bundle.zip") as archive:
        archive.extractall(tmp_path)
    alone = verifier.verify(
        tmp_path / generate.TOP,
        verifier.Trust(roots, crls, authorities, None if rules is None else verifier.Policy.parse(rules), NOW),
    )
    assert (alone["verdict"], every(alone)) == (expected["verdict"], expected["not_verified"])


def every(report: Any) -> dict[str, str]:
    """Give all that is not verified."""
    time = {each["checks"]["time"]["verdict"] for each in report["segments"]} - {"verified"}
    return not_verified(report) | ({"time": time.pop()} if time else {})


def test_the_small_bundle_is_small() -> None:
    files = open_target(HERE / "bundle/bundle.zip").listing()
    assert f"a whole bundle of {len(files)} files as a zip" in PAGE
    assert sum(each.size_bytes for each in files) < 20_000
    assert isinstance(verify_target(HERE / "bundle/bundle.zip", Trust()), Report)


PAGE = (HERE.parents[1] / "docs/evidence-format.md").read_text("utf-8")


@pytest.mark.parametrize("example", re.findall(r"```text\n(.*?)```\n", PAGE, re.DOTALL), ids=lambda text: text[:20])
def test_the_examples_of_the_page_are_those_of_the_bundle(example: str) -> None:
    files = open_target(HERE / "bundle/bundle.zip")
    everything = [b"".join(files.open(each.path)) for each in files.listing()]
    assert any(example.encode() in data or example.rstrip("\n").encode() == data for data in everything)


def test_the_page_s_digests_and_types_are_right() -> None:
    (entry,) = [text for text in re.findall(r"```text\n(.*?)\n```\n", PAGE, re.DOTALL) if text.startswith("{")]
    prose = " ".join(PAGE.split())
    assert f"This is one, of {len(entry.encode())} bytes" in prose
    assert f"Its reference is `{reference(entry.encode())}`" in prose
    listed = {
        name for row in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| `", PAGE, re.MULTILINE) for name in row.split(", ")
    }
    assert {f"`{kind}`" for kind in BODIES} <= listed
    for kind, body in BODIES.items():
        row = next(line for line in PAGE.splitlines() if re.match(rf"\| (`\w+`, )*`{kind}`(, `\w+`)* \| ", line))
        assert [name for name in body.model_fields if f"`{name}`" not in row] == [], kind
    for name in read("notes.json")["keys"].values():
        assert "witness" in name["vkey"] or name["vkey"] in PAGE
