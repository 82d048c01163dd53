"""The page in a browser, asked what `edged verify --json` is asked: same bundle, same trust, same object."""

import json
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from edged.evidence.certificates import to_pem
from edged.evidence.policy import NONE, Policy
from edged.evidence.text import to_base64
from edged.evidence.verification import Trust
from tests.browser.chromium import Chromium
from tests.unit.bundle_station import START, Forgery

TOP = "bundle"
_UNIX = 3
_KINDS = {"file": stat.S_IFREG | 0o644, "folder": stat.S_IFDIR | 0o755, "other": stat.S_IFLNK | 0o777}

_WAIT = """new Promise((resolve) => {
  const look = () => (window.edgedReport === window.seenReport ? setTimeout(look, 2) : resolve(window.edgedReport));
  look();
})"""


class Page:
    """One page that is asked about one bundle after the other; it is opened anew when the trust changes."""

    def __init__(self, browser: Chromium, file: Path, folder: Path) -> None:
        self.browser = browser
        self._file = file
        self._folder = folder
        self._trust: Trust | None = None

    def open(self, trust: Trust) -> None:
        """Open the page anew, on the verifier's day, and give it what the verifier brings along."""
        now = int((trust.now or START).timestamp() * 1000)
        self.browser.open(self._file, before=f"Date.now = () => {now}; Date = class extends Date {{ {_CLOCK % now} }};")
        for kind, data in trust_files(trust):
            path = self._folder / f"{kind}.pem"
            path.write_bytes(data)
            self.browser.choose(f"#trust-{kind}", [path])
        self._trust = trust

    def drop(self, path: Path, selector: str) -> None:
        """Drop a file or folder on an element, as a person would."""
        x, y = self.browser.evaluate(
            f"(() => {{ const each = document.querySelector('{selector}'); each.scrollIntoView();"
            " const box = each.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.browser.command("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def judge(self, bundle: Path, trust: Trust) -> dict[str, Any]:
        """Choose a zip, or a folder, and give what the page publishes of it."""
        if trust != self._trust:
            self.open(trust)
        self.browser.evaluate("window.seenReport = window.edgedReport, null")
        if self.browser.evaluate("document.getElementById('report').textContent") == "null":
            self.browser.evaluate("window.seenReport = null")
        self.browser.choose("#folder" if bundle.is_dir() else "#zip", [bundle])
        report: dict[str, Any] = self.browser.evaluate(_WAIT)
        assert report == json.loads(self.browser.evaluate("document.getElementById('report').textContent"))
        return report


_CLOCK = "constructor(...parts) { super(...(parts.length > 0 ? parts : [%d])); }"


def trust_files(trust: Trust) -> Iterator[tuple[str, bytes]]:
    """Write what a verifier brings along as the files that it came in."""
    if trust.roots:
        yield "roots", to_pem(trust.roots)
    if trust.authorities:
        yield "tsas", to_pem(trust.authorities)
    if trust.crls:
        yield "crls", b"".join(each.public_bytes(Encoding.PEM) for each in trust.crls)
    if trust.policy is not None:
        yield "policy", policy_file(trust.policy)


def policy_file(policy: Policy) -> bytes:
    """Write a policy as C2SP `tlog-policy` has it."""
    lines = [
        f"witness {name} {key.name}+{key.key_id.hex()}+{to_base64(bytes([key.kind]) + key.public)}"
        for name, key in policy.witnesses.items()
    ]
    lines += [f"group {name} {group.needed} {' '.join(group.members)}" for name, group in policy.groups.items()]
    return "".join(f"{line}\n" for line in [*lines, f"quorum {policy.quorum or NONE}"]).encode()


def write_zip(forgery: Forgery, path: Path) -> Path:
    """Write a bundle in memory as a zip, names that are no regular files included."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for file in forgery.listing():
            name = f"{TOP}/{file.path}" + ("/" if file.kind == "folder" else "")
            header = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            header.create_system = _UNIX
            header.external_attr = _KINDS[file.kind] << 16
            archive.writestr(header, forgery.files.get(file.path, b""))
    return path


def without_details(report: dict[str, Any]) -> dict[str, Any]:
    """Take the reasons of what is not verified away: they quote parsers, which put it each in its own words."""

    def verdicts(checks: dict[str, Any]) -> dict[str, Any]:
        return {name: check if check["verdict"] == "verified" else check["verdict"] for name, check in checks.items()}

    segments = [segment | {"checks": verdicts(segment["checks"])} for segment in report["segments"]]
    return report | {"checks": verdicts(report["checks"]), "segments": segments}
