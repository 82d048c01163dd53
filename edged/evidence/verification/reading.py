"""Reading a bundle's files for verification: originals as streams, everything else up to a bound.

Every byte that a check looks at is digested in the same reading, so that `bag` judges the very bytes that the
other checks saw.
"""

import hashlib
from collections.abc import Container, Iterable, Mapping
from concurrent.futures import Executor
from types import MappingProxyType

from edged.errors import MalformedError
from edged.evidence.digests import Digester, Digests, has_sm3, sha256_hex
from edged.evidence.ids import Sha256
from edged.evidence.verification.port import BundleFile, BundleFiles


class Contents:
    """What lies in the files of one bundle."""

    def __init__(self, files: BundleFiles, listed: Mapping[str, BundleFile] = MappingProxyType({})) -> None:
        self._files = files
        self._listed = listed
        self._sha256: dict[str, Sha256] = {}

    def small(self, path: str, most_bytes: int) -> bytes:
        """Read a file whole; raises MalformedError if it is longer than any such file can be."""
        blocks, length = [], 0
        for block in self._files.open(path):
            length += len(block)
            if length > most_bytes:
                raise MalformedError(f"the file is longer than {most_bytes} bytes")
            blocks.append(block)
        data = b"".join(blocks)
        self._sha256[path] = sha256_hex(data)
        return data

    def as_listed(self, path: str) -> bytes:
        """Read a file whole, however long it is listed to be; raises MalformedError if it is longer than that."""
        return self.small(path, self._listed[path].size_bytes)

    def stream(self, paths: Iterable[str], pool: Executor | None, *, sm3: Container[str] = ()) -> Mapping[str, Digests]:
        """Digest large files, whole and by chunks, and those among `sm3` by SM3 as well, if this machine can.

        `pool` makes several cores share the work.
        """
        wanted = [(path, path in sm3 and has_sm3()) for path in paths]
        if pool is not None and len(wanted) > 1:
            found = dict(pool.map(self._digests, wanted))
        else:
            found = dict(self._digests(each, pool) for each in wanted)
        self._sha256.update({path: digests.sha256 for path, digests in found.items()})
        return found

    def sha256(self, path: str) -> Sha256:
        """Give the digest of a file, reading it if nobody has."""
        if path not in self._sha256:
            digest = hashlib.sha256()
            for block in self._files.open(path):
                digest.update(block)
            self._sha256[path] = Sha256(digest.hexdigest())
        return self._sha256[path]

    def _digests(self, wanted: tuple[str, bool], helper: Executor | None = None) -> tuple[str, Digests]:
        # A helper from the pool that runs this very call could never answer: it is only for a file alone.
        path, sm3 = wanted
        digester = Digester(helper=helper, sm3=sm3)
        for block in self._files.open(path):
            digester.update(block)
        return path, digester.finish()
