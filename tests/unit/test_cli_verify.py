"""`edged verify` with authorities and a witness policy that the verifier brings along."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.anchored_station import SEALED, Witness, anchored, made_authority
from tests.unit.bundle_station import START
from tests.unit.calling import Caller


def test_the_command_takes_authorities_and_a_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    authority = made_authority(tmp_path / "authority", not_after=START + timedelta(days=9000))
    made = anchored(tmp_path, authority)
    witnesses = [Witness(f"witness.example/w{number}") for number in range(2)]
    lines = [each.line(made.note(made.sealed), SEALED) for each in witnesses]
    bundle = made.cosign(made.bundle.copy(), made.sealed, *lines).rebag()
    for path, data in bundle.files.items():
        (tmp_path / "b" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "b" / path).write_bytes(data)
    root, tsa, rules = tmp_path / "root.pem", tmp_path / "tsa.pem", tmp_path / "policy.txt"
    root.write_bytes(made.station.root_pem())
    tsa.write_bytes(authority.root_pem)
    rules.write_text("".join(f"witness {number} {each.vkey}\n" for number, each in enumerate(witnesses)) + "quorum 0\n")
    edged = Caller(capsys)
    verify = ("verify", tmp_path / "b", "--trust", root)
    assert [edged(*verify, "--tsa", tsa).code, edged(*verify, "--policy", rules).code] == [0, 0]
    assert edged(*verify).code == 2
    rules.write_text("quorum nobody\n")
    said = edged(*verify, "--policy", rules)
    assert (said.code, "line 1: 'nobody' is defined on no line before" in said.err) == (64, True)
    assert edged(*verify, "--tsa", rules).code == 64
    assert edged(*verify, "--policy", tmp_path / "nothing").code == 66
