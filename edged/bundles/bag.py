"""Writing a bag: every file is digested as it is written, and the lists come last (BagIt 1.0, RFC 8493)."""

from collections.abc import Callable, Iterable
from pathlib import Path

from edged.evidence.digests import Digester, Digests, sha256_hex
from edged.evidence.ids import Sha256
from edged.evidence.verification.bag import BAGIT_TEXT
from edged.evidence.verification.layout import BAGIT, MANIFEST, TAG_MANIFEST


class BagWriter:
    """A bag being written into a new folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._listed: dict[str, tuple[Sha256, int]] = {}

    def write(self, path: str, data: bytes) -> None:
        """Write a small file, in place of an earlier one of that name."""
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        self._listed[path] = sha256_hex(data), len(data)

    def copy(self, path: str, blocks: Iterable[bytes], check: Callable[[Digests], None]) -> None:
        """Write a large file; `check` is given its digests, and raises if they are not the right ones."""
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        digester = Digester()
        with target.open("xb") as copy:
            for block in blocks:
                digester.update(block)
                copy.write(block)
        digests = digester.finish()
        check(digests)
        self._listed[path] = digests.sha256, digests.size_bytes

    def write_lists(self, about: dict[str, str]) -> None:
        """Write `bagit.txt`, `bag-info.txt` (with `about`) and both manifests over all that was written so far."""
        payload = {path for path in self._listed if path.startswith("data/")}
        length = sum(self._listed[path][1] for path in payload)
        about = {**about, "Payload-Oxum": f"{length}.{len(payload)}"}
        self.write(BAGIT, BAGIT_TEXT)
        self.write("bag-info.txt", "".join(f"{key}: {about[key]}\n" for key in sorted(about)).encode())
        self.write(MANIFEST, self._manifest(payload))
        self.write(TAG_MANIFEST, self._manifest(self._listed.keys() - payload - {TAG_MANIFEST}))

    def _manifest(self, paths: set[str]) -> bytes:
        return "".join(f"{self._listed[path][0]}  {path}\n" for path in sorted(paths)).encode()
