"""Making a bundle from an `export` entry: the same entry gives the same bytes again.

Order: the entry and its list are read and compared; the folder is written under a temporary name, originals being
digested while they are copied; the copy is verified as any verifier would, and the report added; only then does the
folder get its name. An original that no longer is what was sealed stops everything.
"""

import errno
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edged.bundles import pages
from edged.bundles.anchored import joints, write_cited, write_end
from edged.bundles.bag import BagWriter
from edged.bundles.load import FolderFiles, read_blocks
from edged.bundles.plan import Plan, read_plan, texts
from edged.bundles.port import LedgerView
from edged.bundles.zips import write_zip
from edged.errors import FullError, MalformedError, StorageError, UnreadableError, UsageError
from edged.evidence import bodies
from edged.evidence.certificates import load_certificates
from edged.evidence.digests import Digests
from edged.evidence.ids import bundle_name
from edged.evidence.policy import parse as parse_policy
from edged.evidence.proofs import format_proof
from edged.evidence.verification import Report, Trust, verify
from edged.evidence.verification.layout import EXPORT, TEXTS

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, kw_only=True)
class Made:
    """A finished bundle."""

    path: Path
    report: Report
    """What verification under the station's own root found; it stands in the bundle, and proves nothing."""


def make_bundle(  # noqa: PLR0913 - what a bundle holds is the caller's to say
    view: LedgerView,
    export_seq: int,
    out: Path,
    *,
    kinds: Sequence[str] = (),
    inventories: bool = True,
    pool: Executor | None = None,
) -> Made:
    """Make the bundle of the `export` entry `export_seq` as the folder `out`, which must not exist.

    `kinds` are the derivatives to include where there are any; `inventories` adds what the cards held, which names
    files of other cases too. `pool` digests several originals at once when the copy is verified.

    Raises UsageError for an existing `out` or an entry that is no export, UnavailableError while no signed checkpoint
    covers the entry, MalformedError naming the segment whose file in the vault is not what was sealed, and
    StorageError or FullError where the disk refuses.
    """
    plan = read_plan(view, export_seq)
    with _new(out) as folder:
        bag = BagWriter(folder)
        _write_logs(bag, view, plan)
        _write_entries(bag, view, plan)
        for segment in plan.sealed.values():
            _copy_original(bag, view, segment)
            for kind in kinds:
                _copy_derivative(bag, view, plan, segment, kind)
        if inventories:
            _write_inventories(bag, view, plan)
        bag.write(TEXTS, texts(view, plan))
        trust = _write_trust(bag, view, plan)
        for name, page in pages.instructions(plan).items():
            bag.write(name, page)
        bag.write(pages.PAGE, pages.verify_page())
        bag.write_lists(_about(plan))
        report = verify(FolderFiles(folder), trust, pool)
        checked = pages.Checked(by_station=True, moment=plan.exported, trust=trust, tool=pages.TOOL)
        account = pages.read_account(FolderFiles(folder))
        bag.write("data/report.json", pages.report_json(report, account, checked))
        bag.write("data/report.html", pages.report_html(report, account, checked))
        bag.write_lists(_about(plan))
        _open_to_readers(folder)
    return Made(path=out, report=report)


def zip_bundle(bundle: Path, out: Path, *, top: str) -> None:
    """Write a finished bundle as the zip `out`, which must not exist, with the one top folder `top`."""
    with _new(out) as new:
        write_zip(bundle, new, top=top)


@contextmanager
def _new(out: Path) -> Iterator[Path]:
    """Give a free name on the disk of `out`; what lies there at the end becomes `out`, if all goes well."""
    if out.exists() or out.is_symlink():
        raise UsageError(f"{out} exists already; a bundle is never written over anything.")
    try:
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as folder:
            new = Path(folder) / "new"
            yield new
            new.replace(out)
    except OSError as error:
        kind = FullError if error.errno in _NO_ROOM else StorageError
        raise kind(f"{out} cannot be written: {error.strerror or error}.") from error


def _write_logs(bag: BagWriter, view: LedgerView, plan: Plan) -> None:
    for epoch, ends in plan.ends.items():
        folder = f"data/logs/{plan.log_of(epoch)}"
        bag.write(f"{folder}/station.pem", view.certificates_pem(epoch))
        for end in ends:
            write_end(bag, f"{folder}/{end.size}", end)
        for name, joint in joints(view, epoch, ends):
            bag.write(f"{folder}/{name}", joint)
    write_cited(bag, view, plan.entries.values())


def _write_trust(bag: BagWriter, view: LedgerView, plan: Plan) -> Trust:
    """Write what the station knows of those whom a verifier may trust, and give it for the bundle's own report."""
    root, tsa, policy = view.root_pem(), view.tsa_pem(), view.policy_text()
    bag.write("data/trust/root.pem", root)
    if tsa:
        bag.write("data/trust/tsa.pem", tsa)
    if policy:
        bag.write("data/trust/policy.txt", policy)
    return Trust(
        roots=load_certificates(root),
        authorities=load_certificates(tsa) if tsa else (),
        policy=parse_policy(policy) if policy else None,
        # Not now: the same export gives the same bytes again.
        now=plan.exported,
    )


def _write_entries(bag: BagWriter, view: LedgerView, plan: Plan) -> None:
    """Write every entry with its proof: those of the segments in their folders, the others under custody."""
    bag.write(EXPORT, plan.export_list)
    for number, data in plan.data.items():
        entry = plan.entries[number]
        end = plan.end_of(number)
        proof = format_proof(entry.seq, view.inclusion_proof(number, end.size), end.whole)
        if number in plan.sealed:
            folder = f"data/segments/{plan.sealed[number].segment}"
            bag.write(f"{folder}/entry.json", data)
            bag.write(f"{folder}/entry.tlog-proof", proof)
        else:
            bag.write(f"data/custody/{plan.log_of(entry.epoch)}/{entry.seq}.json", data)
            bag.write(f"data/custody/{plan.log_of(entry.epoch)}/{entry.seq}.tlog-proof", proof)


def _copy_original(bag: BagWriter, view: LedgerView, segment: bodies.Segment) -> None:
    """Copy an original with its chunk list; a file that is not what was sealed is not handed over."""

    def check(found: Digests) -> None:
        sealed = segment.bytes, segment.sha256, segment.chunks.sha256
        if (found.size_bytes, found.sha256, found.chunks_sha256) != sealed:
            raise MalformedError(
                f"The original of segment {segment.segment} ({segment.path}) is no longer what was sealed. "
                "No bundle was made.",
                hint="Run `edged check --deep`, and compare with the copy in central storage.",
            )
        bag.write(f"data/segments/{segment.segment}/chunks.sha256", found.chunk_list)

    try:
        name = f"data/segments/{segment.segment}/{bundle_name(segment.path)}"
        bag.copy(name, view.original(segment.segment), check)
    except UnreadableError as error:
        raise UnreadableError(
            f"The original of segment {segment.segment} cannot be read. No bundle was made. {error}", hint=error.hint
        ) from error


def _copy_derivative(bag: BagWriter, view: LedgerView, plan: Plan, segment: bodies.Segment, kind: str) -> None:
    """Copy the derivative of a kind that the bundle has the entry of; none is no error."""
    made = [
        entry.body
        for entry in plan.entries.values()
        if isinstance(entry.body, bodies.Derivative)
        and (entry.body.segment, entry.body.kind) == (segment.segment, kind)
    ]
    source = view.derivative(segment.segment, kind) if made else None
    if source is None:
        return

    def check(found: Digests) -> None:
        if (found.size_bytes, found.sha256) not in [(body.bytes, body.sha256) for body in made]:
            raise MalformedError(
                f"The {kind} of segment {segment.segment} is not the one in the ledger. No bundle was made.",
                hint=f"Leave the derivatives of kind {kind} out.",
            )

    bag.copy(f"data/derivatives/{segment.segment}/{kind}{source.suffix}", read_blocks(source), check)


def _write_inventories(bag: BagWriter, view: LedgerView, plan: Plan) -> None:
    for entry in plan.entries.values():
        if isinstance(entry.body, bodies.Docking):
            try:
                inventory = view.document(entry.body.inventory_sha256)
            except UnreadableError:
                # Lost with an older book: the bundle says `not-established` of what only the inventory can show.
                continue
            bag.write(f"data/dockings/{entry.body.docking}/inventory.json", inventory)


def _about(plan: Plan) -> dict[str, str]:
    return {
        "Bagging-Date": plan.exported.date().isoformat(),
        "External-Identifier": plan.export.export,
        "Source-Organization": plan.station,
    }


def _open_to_readers(folder: Path) -> None:
    """Give every bundle the same modes, whatever the daemon's umask is."""
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
