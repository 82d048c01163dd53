"""The pages of a bundle: instructions for checking it by hand, and the report that comes with it.

The instructions are for somebody who never heard of edged. Prose stands in `VERIFY*.md`, commands in the `.sh` files
beside, which both languages share; here the facts of one bundle are filled in.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources

from edged.bundles.pages.html import NOTICE, report_html
from edged.bundles.plan import Plan
from edged.clock import rfc3339
from edged.evidence import canonical
from edged.evidence.ids import bundle_name
from edged.evidence.verification import Report

__all__ = ["instructions", "report_html", "report_json"]


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


def report_json(report: Report) -> bytes:
    """Give the report as JSON, under a notice that it proves nothing."""
    return canonical.encode({"notice": NOTICE.en, **report.plain()})


def _fill(text: str, facts: Mapping[str, str]) -> str:
    """Replace each `{{name}}` by a fact, or by the file of that name, itself filled in."""

    def fill(found: re.Match[str]) -> str:
        name = found[1]
        return _fill(_page(name), facts).rstrip("\n") if name.endswith(".sh") else facts[name]

    return re.sub(r"\{\{([a-z_.-]+)\}\}", fill, text)


@cache
def _page(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
