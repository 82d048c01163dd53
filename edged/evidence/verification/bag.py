"""The check `bag`: the files here are exactly the listed ones, byte for byte (RFC 8493; EVIDENCE.md, section 6)."""

import re
from collections.abc import Iterator
from typing import Final

from edged.errors import MalformedError
from edged.evidence.ids import Sha256
from edged.evidence.verification.layout import BAGIT, MANIFEST, TAG_MANIFEST, Layout
from edged.evidence.verification.reading import Contents
from edged.evidence.verification.report import Check, failed, verified
from edged.evidence.verification.words import some

BAGIT_TEXT: Final = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"

_MAX_MANIFEST_BYTES: Final = 64 << 20
_LINE: Final = re.compile(r"([0-9a-f]{64})  (.+)")


def check_bag(layout: Layout, contents: Contents) -> Check:
    """Compare both manifests with what is here; the answer is never `not-established`."""
    for objection in _objections(layout, contents):
        return objection
    count = len(layout.files)
    return verified(
        f"All {count} files are listed, none is missing or too many, and each has its listed digest.",
        f"全部 {count} 个文件均已列入清单，不缺不多，摘要逐一相符。",
    )


def _objections(layout: Layout, contents: Contents) -> Iterator[Check]:
    if layout.not_regular:
        names = some(layout.not_regular)
        yield failed(f"Not regular files: {names}.", f"不是普通文件：{names}。")
    crowded = [path for files in layout.segments.values() if len(files.originals) > 1 for path in files.originals]
    if strangers := list(dict.fromkeys([*layout.strangers, *crowded])):
        names = some(strangers)
        yield failed(f"No bundle has a place for: {names}.", f"证据包中不应有：{names}。")
    if missing := [path for path in (BAGIT, MANIFEST, TAG_MANIFEST) if path not in layout.files]:
        names = some(missing)
        yield failed(f"This is no bag: {names} is not here.", f"不是完整的证据包：缺少 {names}。")
        return
    yield from _misnamed(layout, contents)
    try:
        if contents.small(BAGIT, 1 << 10) != BAGIT_TEXT:
            yield failed("bagit.txt is not that of BagIt 1.0.", "bagit.txt 不是 BagIt 1.0 的内容。")
        listed = _parse(contents.small(MANIFEST, _MAX_MANIFEST_BYTES))
        tags = _parse(contents.small(TAG_MANIFEST, _MAX_MANIFEST_BYTES))
    except MalformedError as error:
        yield failed(f"A list of files is malformed: {error}.", f"文件清单格式有误：{error}。")
        return
    payload = {path for path in layout.files if path.startswith("data/")}
    for name, here, there in (
        (MANIFEST, payload, listed),
        (TAG_MANIFEST, set(layout.files) - payload - {TAG_MANIFEST}, tags),
    ):
        if lacking := sorted(there.keys() - here):
            names = some(lacking)
            yield failed(f"Listed in {name} but not here: {names}.", f"{name} 所列文件缺失：{names}。")
        if unlisted := sorted(here - there.keys()):
            names = some(unlisted)
            yield failed(f"Here but not listed in {name}: {names}.", f"{name} 未列出的文件：{names}。")
        if altered := sorted(path for path in here if contents.sha256(path) != there[path]):
            names = some(altered)
            yield failed(f"Not as listed in {name}: {names}.", f"与 {name} 所列摘要不符：{names}。")


def _misnamed(layout: Layout, contents: Contents) -> Iterator[Check]:
    """Find anchors that have not the digest that they are named by."""
    named = {path: path.rpartition("/")[2] for path in layout.anchors if not path.endswith(".checkpoint")}
    if misnamed := [path for path, name in named.items() if contents.sha256(path) != name]:
        names = some(misnamed)
        yield failed(f"Not what its name, a digest, says: {names}.", f"内容与作为文件名的摘要不符：{names}。")


def _parse(data: bytes) -> dict[str, Sha256]:
    """Read a manifest in the one form that `sha256sum -c` and this page read alike."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError("it is not UTF-8") from error
    if text and not text.endswith("\n"):
        raise MalformedError("its last line is not ended")
    listed: dict[str, Sha256] = {}
    for line in text[:-1].split("\n") if text else ():
        match = _LINE.fullmatch(line)
        if match is None:
            raise MalformedError("a line is not a digest, two spaces and a path")
        if match[2] in listed:
            raise MalformedError(f"it lists {match[2]} twice")
        listed[match[2]] = Sha256(match[1])
    return listed
