"""The documents say what the program does: what they name is there, and what a user meets is in them."""

import ast
import hashlib
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_args

import pytest
import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from edged import config
from edged.anchors import witness_settings
from edged.bays import profiles, register
from edged.book.projections import PROJECTIONS
from edged.cases.rows import COLUMNS
from edged.cli import main as edged_cli
from edged.clock import SystemClock
from edged.errors import EdgedError
from edged.evidence.bodies import BODIES
from edged.evidence.ids import StationId
from edged.evidence.verification.report import BUNDLE_CHECKS, SEGMENT_CHECKS
from edged.media.plan import Kind
from edged.rules import matters, retention
from edged.station.creation import NewStation, create
from edged.station.live import BayState, Phase
from hwsim import cli as hwsim_cli

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TRANSLATED: Final = {"README.md": "README.zh.md", "docs/verification.md": "docs/verification.zh.md"}
APPS: Final = {"edged": edged_cli.command_line(), "hwsim": hwsim_cli.app}

PLACES: Final = (
    *("/etc/edged", "/var/lib/edged", "/opt/edged", "/usr/local/bin/edged", "/usr/sbin/mosquitto"),
    *(
        "/usr",
        "/media/usb",
        "/backup",
        "/srv/vault",
        "/run/edged",
        "/dev/sdb1",
        "/dev/bus/usb",
        "/etc/udev/rules.d/70-edged",
    ),
    *("/usr/bin/python3", "/usr/local/lib", "/etc/systemd/system/edged"),
)
"""The only absolute paths that a document names."""
HOSTS: Final = {"keepachangelog.com", "127.0.0.1", "s3.example.org"}
STRANGE: Final = {
    *("3f3af1ecebbd1410", "1225ae6c1ae69dcb", "e81d3b0e9d82feaa", "05d28061fe980168", "c857d09db23e6822"),
    *("c70eca6b0f88f44d", "94a168d2da574b00", "d298391b07433318", "60965168ce762e94", "3ea125d0bff386e6"),
}
"""Beginnings of the SHA-256 of words that no manual needs; as digests, so that this page does not hold them either."""


def page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


MANUAL: Final = page("docs/operations.md")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# ------------------------------------------------------------------------------------------------------- commands


def blocks(text: str, language: str) -> list[str]:
    """Give the fenced blocks of a language, also indented ones."""
    return re.findall(rf"^ *```{language}\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)


def prose(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)


def spans(text: str) -> list[str]:
    """Give the code spans outside of blocks, each on one line."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose(text))]


def command_lines() -> Iterator[tuple[str, list[str]]]:
    for path in PAGES:
        for block in blocks(path.read_text("utf-8"), "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                if found := re.match(r"(?:sudo -u \S+ )?((edged|hwsim|make)\b[^|]*)", line):
                    yield name_of(path), shlex.split(found[1], comments=True)


def command_spans() -> Iterator[tuple[str, list[str]]]:
    for path in PAGES:
        for span in spans(path.read_text("utf-8")):
            if re.match(r"(edged|hwsim|make) ", span):
                yield name_of(path), shlex.split(span)


def group_of(program: str) -> Any:
    return typer.main.get_command(APPS[program])


def find(words: list[str]) -> tuple[Any, list[str]]:
    """Give the command that the words name, and the rest of them."""
    command, rest = group_of(words[0]), words[1:]
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        assert rest[0] in command.commands, f"{' '.join(words)}: there is no command {rest[0]}"
        command, rest = command.commands[rest[0]], rest[1:]
    return command, rest


def options_of(command: Any) -> set[str]:
    return {"--help", *(opt for each in command.params for opt in (*each.opts, *each.secondary_opts))}


def check_make(words: list[str]) -> None:
    makefile = page("Makefile")
    for word in words[1:]:
        name, is_variable, _ = word.partition("=")
        found = rf"^{name} \?= " if is_variable else rf"^{name}:"
        assert re.search(found, makefile, re.MULTILINE), f"the Makefile has no {name}"


@pytest.mark.parametrize(("where", "words"), [pytest.param(*each, id=" ".join(each[1])) for each in command_lines()])
def test_command_line_can_be_run_as_it_stands(where: str, words: list[str]) -> None:
    if words[0] == "make":
        check_make(words)
        return
    command, rest = find(words)
    assert not hasattr(command, "commands"), f"{where}: {' '.join(words)} is not a whole command"
    command.make_context(words[0], list(rest))


@pytest.mark.parametrize(("where", "words"), [pytest.param(*each, id=" ".join(each[1])) for each in command_spans()])
def test_mentioned_command_and_its_options_exist(where: str, words: list[str]) -> None:
    if words[0] == "make":
        check_make(words)
        return
    command, rest = find(words)
    strange = {word for word in rest if word.startswith("--")} - options_of(command)
    assert not strange, f"{where}: {' '.join(words)}"


def all_commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, each in getattr(command, "commands", {}).items():
        yield (*words, name), each
        yield from all_commands(each, (*words, name))


ALL_COMMANDS: Final = [each for program in APPS for each in all_commands(group_of(program), (program,))]


@pytest.mark.parametrize(("words", "command"), [pytest.param(*each, id=" ".join(each[0])) for each in ALL_COMMANDS])
def test_every_command_explains_itself(
    words: tuple[str, ...], command: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    run = {"edged": edged_cli._run, "hwsim": hwsim_cli._run}[words[0]]
    assert run([*words[1:], "--help"]) == 0
    shown = capsys.readouterr().out
    assert " ".join(command.help.split()[:3]) in " ".join(shown.split())
    for each in command.params:
        assert each.opts[0].lstrip("-") in shown
        assert each.help, f"{' '.join(words)}: {each.name} says nothing"


@pytest.mark.parametrize(("words", "command"), [pytest.param(*each, id=" ".join(each[0])) for each in ALL_COMMANDS])
def test_every_command_of_the_station_is_in_the_manuals(words: tuple[str, ...], command: Any) -> None:
    told = page("README.md") + MANUAL + page("docs/verification.md")
    told = " ".join(re.sub(r"[\\`]", " ", told).split())
    assert re.search(rf"\b{' '.join(words)}\b", told) or words == ("edged", "ledger")
    if words[0] == "edged":
        for option in options_of(command) - {"--help", "--inventories"}:
            assert not option.startswith("--") or re.search(rf"(?<![\w-]){option}\b", told), f"{words}: {option}"


# --------------------------------------------------------------------------------------------------------- tables


def table_after(text: str, anchor: str) -> list[list[str]]:
    """Give the cells of the first table behind an anchor, without its heading."""
    assert text.count(anchor) == 1, f"{anchor!r} is in the page {text.count(anchor)} times"
    lines = text.partition(anchor)[2].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| "))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def keys(rows: list[list[str]]) -> list[str]:
    return [key for row in rows for key in re.findall(r"`([^`]+)`", row[0])]


MODELS: Final[Mapping[str, type[BaseModel]]] = {
    "#### `[station]`\n": config.StationPart,
    "#### `[paths]`\n": config.PathsPart,
    "#### `[bays]`\n": config.BaysPart,
    "#### `[cases]`\n": config.CasesPart,
    "#### `[store]`\n": config.StorePart,
    "#### `[media]`\n": config.MediaPart,
    "#### `[ledger]`\n": config.LedgerPart,
    "#### `[anchors]`\n": config.AnchorsPart,
    "\n`[[anchors.authority]]`:\n": config.AuthorityPart,
    "\n`[[anchors.witness]]`:\n": config.WitnessPart,
    "\nFill in `witness.toml` ": witness_settings.WitnessConfig,
    "\n`[[log]]`:\n": witness_settings.LogPart,
    "\nOr, instead of a bucket, a folder.": config.DirectoryStorePart,
    "#### `[supervision]`\n": config.SupervisionPart,
    "\nThe file of the broker's credentials:\n": config.BrokerCredentials,
    "#### `[export]`\n": config.ExportPart,
    "#### `[control]`\n": config.ControlPart,
    "\nThe credentials file:\n": config.Credentials,
    "\n`[[recorder]]`, one table": register.RegisteredRecorder,
    "\n`[[officer]]`, one table": register.RegisteredOfficer,
    "\n`recorders/*.toml`, one file": profiles.Profile,
    "\n`[id_file]`: ": profiles.IdFile,
    "\n`[unlock]` and `[clock]`: ": profiles.Unlock,
    "\n`[[clock_reading]]`: ": profiles.ClockWay,
    "\n`[container_time]`: ": profiles.ContainerTime,
    "\n`[recording]`: ": profiles.RecordingHabits,
    "\n`[[layout]]`: ": profiles.LayoutRule,
    "\n`[[matter]]`:\n": matters.Matter,
    "\n`[[matter.stage]]`:\n": matters.Stage,
    "\n`retention.toml` as a whole:\n": retention.Retention,
    "\n`[[rule]]`:\n": retention.RetentionRule,
}


def default(value: Any) -> str:
    if value is PydanticUndefined:
        return "required"
    if value is None:
        return "none"
    if isinstance(value, Path):
        value = str(value)
    return f"`{json.dumps(list(value) if isinstance(value, tuple) else value)}`"


@pytest.mark.parametrize("anchor", MODELS)
def test_every_key_of_the_configuration_is_in_the_manual_and_no_other(anchor: str) -> None:
    fields = {field.alias or name: default(field.default) for name, field in MODELS[anchor].model_fields.items()}
    rows = table_after(MANUAL, anchor)
    assert {row[0].strip("`"): row[1] for row in rows} == fields
    assert all(len(row) == 3 and len(row[2]) > 3 for row in rows)


def test_every_table_of_station_toml_is_in_the_manual() -> None:
    assert re.findall(r"^#### `\[(\w+)\]`$", MANUAL, re.MULTILINE) == list(config.StationConfig.model_fields)


def test_every_column_of_the_case_feed_is_in_the_manual() -> None:
    rows = table_after(MANUAL, "\n## The case feed\n")
    told = {row[0].strip("`"): set(re.findall(r"`([^`]+)`", row[1])) for row in rows}
    assert told == {column: set(others) for column, others in COLUMNS.items()}


def all_errors(root: type[EdgedError]) -> Iterator[type[EdgedError]]:
    yield root
    for each in root.__subclasses__():
        yield from all_errors(each)


def test_every_exit_code_is_in_the_manual() -> None:
    told = {int(row[0]) for row in table_after(MANUAL, "\n## Exit codes\n")}
    verdicts, interrupted = {0, 1, 2}, {130}
    assert told == verdicts | interrupted | {error.exit_code for error in all_errors(EdgedError) if error.exit_code}


def test_every_state_of_a_bay_is_in_the_manual() -> None:
    rows = table_after(MANUAL, "\n### States of a bay\n")
    assert keys(rows) == list(get_args(Phase))
    for phase, row in zip(get_args(Phase), rows, strict=True):
        assert row[1] == ("yes" if BayState(bay="1", phase=phase).plain()["removable"] else "no")


def trees(folder: str) -> Iterator[ast.AST]:
    for path in sorted((ROOT / folder).rglob("*.py")):
        yield ast.parse(path.read_text("utf-8"))


def texts_in(node: ast.AST) -> set[str]:
    return {each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)}


def test_every_alarm_is_in_the_manual() -> None:
    raised = {"bay NAME", "port PORT", "anchor NAME", "clock NAME", *get_args(Kind)}
    for node in (
        node for room in ("station", "supervision") for tree in trees(f"edged/{room}") for node in ast.walk(tree)
    ):
        match node:
            case ast.Call(func=ast.Attribute(attr="alarm"), args=[ast.Constant(value=str(source)), *_]):
                raised.add(source)
            case ast.ClassDef(body=body):
                raised |= {
                    text
                    for each in body
                    if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "name"
                    for text in texts_in(each.value)
                }
    assert set(keys(table_after(MANUAL, "\n### Alarms\n"))) == raised


def test_every_kind_of_anomaly_is_in_the_manual() -> None:
    noted: set[str] = set()
    functions = [
        node for tree in trees("edged/station") for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
    ]
    for function in functions:
        calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
        for call in calls:
            if ast.unparse(call.func).rpartition(".")[2] not in {"Anomaly", "Oddity"}:
                continue
            kind = next(word.value for word in call.keywords if word.arg == "kind")
            noted |= texts_in(kind) if isinstance(kind, ast.Constant) else assigned(function, ast.unparse(kind))
    assert keys(table_after(MANUAL, "\n### Anomalies\n")) == sorted(noted, key=told_order)


@pytest.mark.parametrize(("name", "anchor"), [("state", "\nWhat a state says:\n"), ("bay", "\nWhat a bay says, ")])
def test_every_key_of_a_message_is_in_the_manual(name: str, anchor: str) -> None:
    schema = json.loads(page(f"edged/supervision/schemas/{name}.json"))
    properties = {key for each in (schema, *schema.get("oneOf", [])) for key in each.get("properties", {})}
    assert sorted(keys(table_after(MANUAL, anchor))) == sorted(properties)


def told_order(kind: str) -> int:
    return keys(table_after(MANUAL, "\n### Anomalies\n")).index(kind)


def assigned(function: ast.FunctionDef, name: str) -> set[str]:
    """Give the texts that a local name may stand for."""
    assigns = [node for node in ast.walk(function) if isinstance(node, ast.Assign)]
    return {text for each in assigns if name in ast.unparse(each.targets[0]) for text in texts_in(each.value)}


def test_every_check_of_the_station_is_in_the_manual(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = {"config": tmp_path / "config", "state": tmp_path / "state", "root_key": tmp_path / "root.key"}
    create(NewStation(station=StationId("st-1"), domain="example.org", zone="UTC", **places), SystemClock())
    assert edged_cli._run(["check", "--config", str(places["config"]), "--json"]) == 0
    done = json.loads(capsys.readouterr().out)["checks"]
    assert keys(table_after(MANUAL, "\n## `edged check`\n")) == list(done)


@pytest.mark.parametrize("name", ["docs/verification.md", "docs/verification.zh.md"])
def test_every_check_of_a_bundle_is_explained(name: str) -> None:
    text = page(name)
    tables = [line.split(" | ")[0] for line in text.splitlines() if re.match(r"\| `[a-z]+` \| .+ \| .+ \| .+ \|", line)]
    assert [row.strip("| `") for row in tables] == [*BUNDLE_CHECKS, *SEGMENT_CHECKS]


def test_every_table_of_the_book_is_in_the_architecture() -> None:
    rows = table_after(page("docs/architecture.md"), "\n### Tables of the book\n")
    told = {row[0].strip("`"): row[1] for row in rows}
    schema = page("edged/book/schema.sql")
    assert list(told) == re.findall(r"^CREATE TABLE (\w+)", schema, re.MULTILINE)
    assert {name for name, kind in told.items() if kind == "projection"} == set(PROJECTIONS)


def test_number_of_entry_types_is_right() -> None:
    assert f"one of {len(BODIES)} types" in page("docs/decisions/0003-pydantic-bodies.md")


# ------------------------------------------------------------------------------------------------ links and words


def slugs(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path.read_text("utf-8"))):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        led_to = path.parent / file if file else path
        assert led_to.exists(), target
        assert not anchor or anchor in slugs(led_to.read_text("utf-8")), target


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_named_files_exist(path: Path) -> None:
    for span in spans(path.read_text("utf-8")):
        if re.fullmatch(r"(edged|hwsim|tests|docs|config)/[\w./-]+", span) and not span.startswith("config/x"):
            assert (ROOT / span).exists(), span


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_only_places_and_hosts_of_a_station_are_named(path: Path) -> None:
    text = path.read_text("utf-8")
    for place in re.findall(r"(?<![\w./~…\]-])/[a-z][\w./-]*", re.sub(r"https?://\S+", "", text)):
        assert place.startswith(PLACES), place
    assert set(re.findall(r"https?://([a-z0-9.-]+)", text)) <= HOSTS


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_no_word_is_strange_to_a_reader(path: Path) -> None:
    words = set(re.findall(r"[a-z]+", path.read_text("utf-8").lower()))
    assert not {word for word in words if hashlib.sha256(word.encode()).hexdigest()[:16] in STRANGE}


@pytest.mark.parametrize("english", TRANSLATED)
def test_translation_has_the_same_sections_commands_and_tables(english: str) -> None:
    one, other = page(english), page(TRANSLATED[english])
    assert [len(marks) for marks in re.findall(r"^(#+) ", prose(one), re.MULTILINE)] == [
        len(marks) for marks in re.findall(r"^(#+) ", prose(other), re.MULTILINE)
    ]
    for language in ("sh", "text"):
        assert blocks(one, language) == blocks(other, language)
    rows = [[line.split("|")[1] for line in text.splitlines() if line.startswith("| `")] for text in (one, other)]
    assert [row.replace("、", ", ") for row in rows[0]] == [row.replace("、", ", ") for row in rows[1]]


def test_every_decision_has_its_four_parts_and_a_number_of_its_own() -> None:
    decisions = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert [path.name[:4] for path in decisions] == [f"{number:04d}" for number in range(1, len(decisions) + 1)]
    for path in decisions:
        text = path.read_text("utf-8")
        assert text.startswith(f"# {path.name[:4]} ")
        parts = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert parts == ["Context", "Decision", "Consequences", "Alternatives"], path.name
