"""Originals in a vault, kept as the station keeps them."""

from edged.evidence.digests import Digester, Digests
from edged.vault.incoming import Source
from edged.vault.place import Place
from edged.vault.vault import Vault


def keep_original(vault: Vault, where: Place, data: bytes) -> Digests:
    """Keep these bytes at their place."""
    digester = Digester()
    digester.update(data)
    found = digester.finish()
    source = Source(recorder=where.recorder, path=where.name, size_bytes=len(data), modified_ns=0)
    with vault.incoming.begin(source) as draft:
        draft.write(memoryview(data), 0)
        draft.settle(len(data))
        vault.keep(draft, where, found)
    return found
