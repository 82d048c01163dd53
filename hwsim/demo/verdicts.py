"""What `edged verify` must say of the demo's bundle, and of a copy in which one byte was changed."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from hwsim.demo.proofs import expect

Report: TypeAlias = Mapping[str, Any]
"""What `edged verify --json` prints."""

_EXITS = {"verified": 0, "not-established": 2}
_FAILED = 1
_CHUNK_BYTES = 8 * 1024 * 1024

_DECIDING = ("bag", "selection", "consistency", "custody", "derivatives")
"""The checks of the bundle as a whole that the overall verdict needs (EVIDENCE.md, section 7)."""


@dataclass(frozen=True, kw_only=True)
class Tampering:
    """One byte changed in a copy of a bundle."""

    segment: str
    name: str
    byte: int

    @property
    def chunk(self) -> int:
        """Index of the chunk it lies in, from 0."""
        return self.byte // _CHUNK_BYTES


def check_untouched(code: int, report: Report, segments: set[str], *, time: str = "verified") -> None:
    """Expect that all about the bundle is verified; or all but its time, which is `not-established` instead."""
    exits = _EXITS[time]
    expect(code == exits, f"edged verify exits {code} for the bundle, not {exits}")
    expect(report["verdict"] == time, f"the bundle is {report['verdict']}")
    for name in _DECIDING:
        found = report["checks"][name]
        expect(found["verdict"] == "verified", f"{name} of the bundle is {found['verdict']}: {found['detail']}")
    held = {segment["segment"] for segment in report["segments"]}
    expect(held == segments, f"the bundle holds {len(held)} segments, the ledger ties {len(segments)} to the case")
    for segment in report["segments"]:
        for name, found in segment["checks"].items():
            due = time if name == "time" else "verified"
            what = f"{name} of {segment['segment']} is {found['verdict']}, not {due}"
            expect(found["verdict"] == due, f"{what}: {found['detail']}")


def tamper(bundle: Path, copy: Path) -> Tampering:
    """Copy a bundle and change one bit, three quarters into its largest original."""
    shutil.copytree(bundle, copy)
    originals = [
        path
        for path in copy.glob("data/segments/*/*")
        if path.name not in {"chunks.sha256", "entry.json", "entry.tlog-proof"}
    ]
    victim = max(originals, key=lambda path: path.stat().st_size)
    byte = victim.stat().st_size * 3 // 4
    victim.chmod(0o644)
    with victim.open("r+b") as file:
        file.seek(byte)
        (value,) = file.read(1)
        file.seek(byte)
        file.write(bytes([value ^ 1]))
    return Tampering(segment=victim.parent.name, name=victim.name, byte=byte)


def check_tampered(code: int, report: Report, tampering: Tampering) -> Mapping[str, Any]:
    """Expect that the copy fails for the damage done; gives the damage: chunk, byte range and times of day."""
    expect(code == _FAILED, f"edged verify exits {code} for the tampered copy, not {_FAILED}")
    expect(report["verdict"] == "failed", f"the tampered copy is {report['verdict']}")
    failed = [segment for segment in report["segments"] if segment["verdict"] == "failed"]
    names = [segment["segment"] for segment in failed]
    expect(names == [tampering.segment], f"failed are {names}, changed was {tampering.segment}")
    damages: list[Mapping[str, Any]] = failed[0]["damage"]
    expect(len(damages) == 1, f"one byte was changed, {len(damages)} chunks are called damaged")
    damage = damages[0]
    expect(damage["chunk"] == tampering.chunk, f"chunk {damage['chunk']} is named, not {tampering.chunk}")
    inside = damage["from_byte"] <= tampering.byte < damage["to_byte"]
    expect(inside, f"the range named, {json.dumps(damage)}, does not hold byte {tampering.byte}")
    expect(damage["from_time"] and damage["to_time"], "the damage has no time of day")
    return damage
