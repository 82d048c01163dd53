"""The pages of a bundle: instructions for checking it by hand, and the report that comes with it.

The instructions are for somebody who never heard of edged. Prose stands in `VERIFY*.md`, commands in the `.sh` files
beside, which both languages share; here the facts of one bundle are filled in.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

from edged import __version__
from edged.bundles.pages.account import Account, read_account
from edged.bundles.pages.html import NOTICE, Checked, report_html
from edged.bundles.pages.recorded import Recorded
from edged.bundles.plan import Plan
from edged.clock import rfc3339
from edged.errors import UnreadableError
from edged.evidence import canonical
from edged.evidence.ids import bundle_name
from edged.evidence.verification import Report

__all__ = [
    "PAGE",
    "TOOL",
    "Account",
    "Checked",
    "instructions",
    "page_path",
    "read_account",
    "report_html",
    "report_json",
    "verify_page",
]

PAGE: Final = "verify.html"
"""Name of the page that checks a bundle in a browser, here and in every bundle."""

TOOL: Final = f"edged {__version__}"
"""What makes and checks bundles here."""


def instructions(plan: Plan) -> Mapping[str, bytes]:
    """Give `VERIFY.md` and `VERIFY.zh.md` with this bundle's own names in every command."""
    facts = {
        "station": plan.station,
        "log": plan.log,
        "size": str(plan.size),
        "export": plan.export.export,
        "export_seq": str(plan.export_seq),
        "exported": rfc3339(plan.exported),
        "count": str(len(plan.sealed)),
        "segments": "\n".join(
            f"| {each.segment} | {bundle_name(each.path)} | {each.bytes} | {each.recorded.start or '-'} |"
            for each in plan.sealed.values()
        ),
    }
    return {name: _fill(_page(name), facts).encode() for name in ("VERIFY.md", "VERIFY.zh.md")}


def report_json(report: Report, account: Account, checked: Checked) -> bytes:
    """Give the report as JSON, under a notice that it proves nothing, with what checked it and when.

    `recorded` holds what each recorder claims beside the interval that it stands for by the station's clock.
    """
    how = {"tool": checked.tool, "checked": None if checked.moment is None else rfc3339(checked.moment)}
    return canonical.encode({"notice": NOTICE.en, **how, **report.plain(), "recorded": Recorded(account).plain()})


def verify_page() -> bytes:
    """Give `verify.html` of this release: the same bytes in every bundle.

    Raises UnreadableError where it was not built with the rest.
    """
    try:
        return page_path().read_bytes()
    except FileNotFoundError as error:
        raise UnreadableError(f"{PAGE} is not part of this installation.", hint="Run `make page`.") from error


def page_path() -> Path:
    """Say where `verify.html` of this release lies."""
    return Path(__file__).with_name(PAGE)


def _fill(text: str, facts: Mapping[str, str]) -> str:
    """Replace each `{{name}}` by a fact, or by the file of that name, itself filled in."""

    def fill(found: re.Match[str]) -> str:
        name = found[1]
        return _fill(_page(name), facts).rstrip("\n") if name.endswith(".sh") else facts[name]

    return re.sub(r"\{\{([a-z_.-]+)\}\}", fill, text)


@cache
def _page(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
