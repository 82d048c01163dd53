"""`edged completeness`: whether what is held of a case is complete, and what is lacking."""

from datetime import datetime, timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import typer

from edged.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, count, print_json, say
from edged.cli.reading import open_book
from edged.config import read_station
from edged.evidence import bodies
from edged.evidence.entry import Entry
from edged.evidence.verification.anomalies import meaning
from edged.rules.completeness import Completeness, Line, Span, StageAnswer
from edged.station.assembly import read_catalogue
from edged.station.case_completeness import CaseAnswer, case_completeness, media_by_profile

_NOT_ESTABLISHED: Final = 2
_LISTED: Final = 20
_STATES: Final = {
    "covered": "covered",
    "gaps": "with gaps",
    "nothing": "NO FOOTAGE",
    "not-needed": "no footage, and none has to be",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("completeness")(completeness)


def completeness(
    case: Annotated[str, typer.Argument(help="The case, as the case feed names it.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Say whether what this station holds of a case is complete: exit code 0, or 2 where that is not established."""
    zone = ZoneInfo(read_station(config).station.zone)
    catalogue, is_media = read_catalogue(config), media_by_profile(config)
    with open_book(config) as book:
        answer = case_completeness(book, catalogue, case, is_media)
    if as_json:
        print_json(_plain(answer, zone))
    else:
        _show(answer, zone)
    if not answer.completeness.complete:
        raise typer.Exit(_NOT_ESTABLISHED)


def _show(answer: CaseAnswer, zone: ZoneInfo) -> None:
    found = answer.completeness
    lacks = count(len(found.lacking), "thing is", "things are")
    say(f"Case {found.case}: " + ("complete." if found.complete else f"not established; {lacks} lacking."))
    for line in found.lines:
        _show_line(line, zone)
    if found.stages:
        say("\nWhat the catalogue asks for:")
    for stage in found.stages:
        many = f", {count(stage.segments, 'file')}" if stage.segments else ""
        where = f"{stage.matter.id} / {stage.stage.id}"
        say(f"  {where:<40} {stage.recording:<10} {_STATES[stage.state]}{many}")
    for heading, sentences in (("Lacking:", found.lacking), ("What cannot be told from here:", found.unknown)):
        if sentences:
            say(f"\n{heading}")
        for words in sentences:
            say(f"  - {words.en}")
    if answer.noted:
        say("\nWhat the station noted:")
    for entry in answer.noted[:_LISTED]:
        say(f"  - {_told(entry)}")
    if len(answer.noted) > _LISTED:
        say("    … (--json lists more)")


def _show_line(line: Line, zone: ZoneInfo) -> None:
    total = sum((span.end - span.start for span in line.covered), timedelta())
    say(f"\n{line.recorder}: {count(len(line.segments), 'file')}, {total.total_seconds():.0f} s of video and sound")
    for span in line.covered[:_LISTED]:
        say(f"  {_time(span.start, zone)} - {_time(span.end, zone)}")
    if len(line.covered) > _LISTED:
        say("  … (--json lists more)")
    if line.gaps:
        longest = max(line.gaps, key=lambda gap: gap.end - gap.start)
        when = f"{_time(longest.start, zone)} - {_time(longest.end, zone)}"
        pauses = count(len(line.gaps), "pause")
        say(f"  {pauses}, the longest {when}; the recorder may have been switched off")


def _told(entry: Entry) -> str:
    body = entry.body
    if not isinstance(body, bodies.Anomaly):
        return entry.type
    words = meaning(body)
    return f"entry {entry.seq}: {body.kind}" if words is None else f"entry {entry.seq}: {words.en} ({body.kind})"


def _plain(answer: CaseAnswer, zone: ZoneInfo) -> dict[str, object]:
    found: Completeness = answer.completeness
    return {
        "case": found.case,
        "complete": found.complete,
        "recorders": [
            {
                "recorder": line.recorder,
                "segments": [
                    {
                        "segment": each.segment,
                        "docking": each.docking,
                        "path": each.path,
                        "matter": each.matter,
                        "stage": each.stage,
                        "start": None if each.start is None else each.start.isoformat(),
                        "end": None if each.end is None else each.end.isoformat(),
                        "uncertainty_ms": each.uncertainty_ms,
                        "form": each.form,
                        "quarantined": each.quarantined,
                        "whole_in": each.whole_in,
                    }
                    for each in line.segments
                ],
                "covered": _spans(line.covered, zone),
                "gaps": _spans(line.gaps, zone),
            }
            for line in found.lines
        ],
        "stages": [_stage(each, zone) for each in found.stages],
        "lacking": [{"en": words.en, "zh": words.zh} for words in found.lacking],
        "noted": [
            {"seq": entry.seq, "epoch": entry.epoch, "kind": entry.body.kind, "detail": entry.body.detail}
            | ({} if (words := meaning(entry.body)) is None else {"en": words.en, "zh": words.zh})
            for entry in answer.noted
            if isinstance(entry.body, bodies.Anomaly)
        ],
        "unknown": [{"en": words.en, "zh": words.zh} for words in found.unknown],
    }


def _stage(answer: StageAnswer, zone: ZoneInfo) -> dict[str, object]:
    return {
        "matter": answer.matter.id,
        "stage": answer.stage.id,
        "recording": answer.recording,
        "state": answer.state,
        "segments": answer.segments,
        "gaps": _spans(answer.gaps, zone),
    }


def _spans(spans: tuple[Span, ...], zone: ZoneInfo) -> list[dict[str, str]]:
    return [
        {"start": each.start.astimezone(zone).isoformat(), "end": each.end.astimezone(zone).isoformat()}
        for each in spans
    ]


def _time(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S}"
