"""The page that `edged verify --report` writes: what was found under the verifier's own trust, to read and print."""

from pathlib import Path

from edged.bundles.load import open_target
from edged.bundles.pages import TOOL, Checked, read_account, report_html
from edged.errors import StorageError, UsageError
from edged.evidence.verification import Report, Trust


def check_free(out: Path) -> None:
    """Refuse to write over anything; raises UsageError before a long check is begun."""
    if out.exists() or out.is_symlink():
        raise UsageError(f"{out} exists already; a report is never written over anything.", hint="Name a new file.")


def write_report(out: Path, target: Path, report: Report, trust: Trust) -> None:
    """Write what was found about the bundle at `target`; raises StorageError where that cannot be."""
    checked = Checked(by_station=False, moment=trust.now, trust=trust, tool=TOOL)
    page = report_html(report, read_account(open_target(target)), checked)
    try:
        with out.open("xb") as file:
            file.write(page)
    except OSError as error:
        raise StorageError(f"{out} cannot be written: {error.strerror}.") from error
