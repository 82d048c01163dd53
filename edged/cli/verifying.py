"""`edged verify` on a station or a store: the report as people and programs read it."""

import json
import tempfile
from typing import IO

from edged.audit.check import check_target
from edged.audit.report import TargetReport
from edged.audit.sentences import sentences
from edged.cli.output import put, say
from edged.cli.progress import shown_progress
from edged.cli.targets import Access, opened
from edged.evidence.verdict import Verdict
from edged.evidence.verification import SegmentReport, Trust


def verify_large(text: str, access: Access, given: Trust, *, as_json: bool) -> Verdict:
    """Verify a station or a store, and print what was found; a report on each of a million segments takes a file."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as spool:

        def keep(report: SegmentReport) -> None:
            if as_json:
                spool.write(json.dumps(report.plain(), ensure_ascii=False) + "\n")

        with opened(text, access, with_originals=True) as target, shown_progress() as progress:
            report = check_target(target, given, progress=progress, on_segment=keep).report
        if as_json:
            _print(report, spool)
            return report.verdict
    for words in sentences(report):
        say(words.en)
    if not given.roots:
        say("Bring the root's certificate along, from somewhere else than what it vouches for: --trust ROOT.pem")
    return report.verdict


def _print(report: TargetReport, spool: IO[str]) -> None:
    """Print one JSON object whose segments are never all in memory."""
    plain = report.plain(segments=())
    del plain["segments"]
    put(json.dumps(plain, ensure_ascii=False, indent=2)[:-2] + ",")
    spool.seek(0)
    if (line := spool.readline()) == "":
        put('  "segments": []\n}')
        return
    put('  "segments": [')
    while line:
        following = spool.readline()
        put(f"    {line.rstrip()}{',' if following else ''}")
        line = following
    put("  ]\n}")
