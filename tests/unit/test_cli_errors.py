"""Every error ends in one sentence and its own exit code, and a program that asked for JSON gets JSON."""

import json
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import typer

from edged import errors
from edged.book import BOOK_FILE
from edged.bundles.make import make_bundle
from edged.cli.main import COMMANDS as NAMES
from edged.cli.main import command_line
from edged.config import SOCKET
from edged.station.assembly import StateLock
from edged.station.files import KEYS
from edged.station.view import StationView
from tests.unit.book_station import close
from tests.unit.calling import EDGED, Caller, Said, start
from tests.unit.made_station import Made, make, make_used


def commands(group: Any, *path: str) -> list[str]:
    """Give every command, those of groups behind the name of their group."""
    below = [each for name, one in getattr(group, "commands", {}).items() for each in commands(one, *path, name)]
    return [" ".join(path), *below]


COMMANDS = commands(typer.main.get_command(command_line()))[1:]


@pytest.mark.parametrize("name", NAMES)
def test_a_command_is_put_together_without_the_others(name: str) -> None:
    one, whole = (typer.main.get_command(command_line(words)) for words in ([name], []))
    assert commands(one)[1:] == [each for each in COMMANDS if each.split(" ")[0] == name]
    assert set(whole.commands) == set(NAMES)  # type: ignore[attr-defined]


def test_what_has_the_rights_of_root_loads_nothing_that_it_does_not_need() -> None:
    script = "import sys; from edged.cli.main import command_line; command_line(['mountd']); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    assert "edged.cli.mountd" in loaded
    assert not {"boto3", "cryptography", "pydantic", "sqlite3"} & set(loaded)


CODES = {
    errors.EdgedError: 70,
    errors.UsageError: 64,
    errors.MalformedError: 65,
    errors.UnreadableError: 66,
    errors.UnavailableError: 69,
    errors.LedgerError: 70,
    errors.RecorderError: 74,
    errors.RefusedRecorderError: 77,
    errors.StorageError: 74,
    errors.FullError: 74,
    errors.StoreError: 74,
    errors.ToolError: 69,
    errors.InUseError: 75,
    errors.NewerStateError: 76,
    errors.NotAllowedError: 77,
    errors.ConfigError: 78,
    errors.StoppedError: 75,
}


@pytest.fixture
def edged(capsys: pytest.CaptureFixture[str]) -> Caller:
    return Caller(capsys)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A new station, closed."""
    made = make(tmp_path)
    made.close()
    return made


def sentence(said: Said, code: int, text: str) -> None:
    """Look for an error that a person understands: what, and below it what to do."""
    assert said.code == code, said.err
    lines = said.err.splitlines()
    assert re.search(text, lines[0])
    assert lines[0].startswith("edged: ")
    assert len(lines) <= 2
    assert not lines[1:] or lines[1].startswith("       ")
    assert "Traceback" not in said.err


def test_exit_codes_never_change() -> None:
    known = {each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.EdgedError)}
    assert {each: each("…").exit_code for each in known} == CODES


# ---------------------------------------------------------------------------------------------------- the codes


@pytest.mark.parametrize(
    "arguments",
    [
        ["dance"],
        ["status", "--dance"],
        ["status", "surplus"],
        ["ledger"],
        ["ledger", "show", "--last", "0"],
        ["ledger", "show", "--last", "many"],
        ["bundle"],
        ["verify"],
        ["init", "--station", "st"],
        ["--dance"],
    ],
)
def test_wrong_command_lines_are_64(edged: Caller, arguments: list[str]) -> None:
    sentence(edged(*arguments), 64, ".")


def test_altered_entry_is_65(edged: Caller, made: Made) -> None:
    with sqlite3.connect(made.config.paths.state / BOOK_FILE) as book:
        book.execute("DROP TRIGGER entry_is_final")
        book.execute("UPDATE entry SET bytes = x'7b7d'")
    book.close()
    sentence(edged("ledger", "show", config=made.config_folder), 65, "entry: ")


def test_state_folder_without_a_book_is_66(edged: Caller, made: Made) -> None:
    (made.config.paths.state / BOOK_FILE).unlink()
    for command in (["ledger", "show"], ["check"]):
        sentence(edged(*command, config=made.config_folder), 66, "no book")
    assert not (made.config.paths.state / BOOK_FILE).exists()


def test_bundle_that_is_not_there_is_66(edged: Caller, tmp_path: Path) -> None:
    sentence(edged("verify", tmp_path / "gone"), 66, "gone cannot be read")


def test_station_that_is_not_running_is_69(edged: Caller, made: Made) -> None:
    sentence(edged("status", config=made.config_folder), 69, "No daemon answers")
    said = edged("bundle", made.config_folder.parent / "out", "--case", "c", config=made.config_folder)
    assert (said.code, "edged: No daemon answers" in said.err) == (69, True)


def test_entry_that_is_not_signed_yet_is_69(edged: Caller, made: Made, tmp_path: Path) -> None:
    sentence(edged("ledger", "prove", 0, tmp_path / "out", config=made.config_folder), 69, "signed checkpoint")
    assert not (tmp_path / "out").exists()


def test_ledger_without_an_open_epoch_is_70(edged: Caller, tmp_path: Path) -> None:
    made = make(tmp_path)
    made.book.ledger.append(close())
    made.close()
    sentence(edged("ledger", "show", config=made.config_folder), 70, "no open epoch")


def test_broken_book_is_74(edged: Caller, made: Made) -> None:
    (made.config.paths.state / BOOK_FILE).write_bytes(b"a letter, not a book" * 1000)
    sentence(edged("ledger", "show", config=made.config_folder), 74, "cannot be used")


@pytest.mark.parametrize("how", ["newer", "readable", "locked", "gone"])
def test_daemon_that_must_not_start_says_why(edged: Caller, made: Made, how: str) -> None:
    state = made.config.paths.state
    lock = None
    match how:
        case "newer":
            code, text = 76, "newer edged"
            with sqlite3.connect(state / BOOK_FILE) as book:
                book.execute("PRAGMA user_version = 99")
            book.close()
            sentence(edged("ledger", "show", config=made.config_folder), code, text)
        case "readable":
            code, text = 77, "can be read by others"
            (state / KEYS / "epoch.key").chmod(0o644)
        case "locked":
            code, text = 75, "Another edged is running"
            lock = StateLock(state)
        case _:
            code, text = 78, "does not exist"
            (made.config_folder / "station.toml").unlink()
    with start("run", "--config", made.config_folder, stderr=subprocess.PIPE) as daemon:
        _, err = daemon.communicate(timeout=60)
    sentence(Said(code=daemon.returncode, out="", err=err), code, text)
    if lock is not None:
        lock.release()


@pytest.mark.parametrize("command", [["check"], ["status"], ["ledger", "show"], ["bundle", "out", "--case", "c"]])
def test_wrong_configuration_is_78_for_every_command(edged: Caller, made: Made, command: list[str]) -> None:
    text = (made.config_folder / "station.toml").read_text("utf-8")
    (made.config_folder / "station.toml").write_text(text.replace("Asia/Shanghai", "Asia/Nowhere"), "utf-8")
    sentence(edged(*command, config=made.config_folder), 78, r"station\.toml: station\.zone is 'Asia/Nowhere'")


def test_check_reads_every_file_of_the_configuration(edged: Caller, made: Made) -> None:
    for name in ("matters.toml", "retention.toml", "register.toml", "recorders/gat947.toml"):
        path = made.config_folder / name
        before = path.read_bytes()
        path.write_bytes(b"surprise = 1\n" + before)
        sentence(edged("check", config=made.config_folder), 78, re.escape(str(path)))
        path.write_bytes(before)
    assert edged("check", config=made.config_folder).code == 0


def test_interruption_is_130(edged: Caller, made: Made) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(made.config.paths.state / SOCKET))
        silent.listen()

        def interrupt() -> None:
            connection, _ = silent.accept()
            connection.recv(100)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            threading.Event().wait(0.5)
            connection.close()

        thread = threading.Thread(target=interrupt)
        thread.start()
        said = edged("status", config=made.config_folder)
        thread.join()
    assert (said.code, said.err) == (130, "Interrupted; nothing is lost.\n")


def test_what_nobody_foresaw_is_70_and_never_a_verdict(
    edged: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("edged.cli.verify.verify_target", fail)
    said = edged("verify", tmp_path)
    assert said.code == 70
    assert "ZeroDivisionError" in said.err


# ----------------------------------------------------------------------------------------------------- verdicts


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verdicts")
    made = make_used(folder)
    seq = made.export()
    made.publish()
    make_bundle(StationView(made.book, made.config), seq, folder / "bundle")
    made.close()
    return folder / "bundle"


def test_verdicts_have_codes_of_their_own(edged: Caller, bundle: Path) -> None:
    root = bundle.parent / "state" / KEYS / "root.pem"
    assert edged("verify", bundle).code == 2
    said = edged("verify", bundle, "--trust", root, "--json")
    plain = json.loads(said.out)
    assert said.code == {"verified": 0, "failed": 1, "not-established": 2}[plain["verdict"]]
    assert plain["checks"]["bag"]["verdict"] == "verified"
    original = next(bundle.glob("data/segments/*/a.mp4"))
    before = original.read_bytes()
    original.chmod(0o640)
    original.write_bytes(b"F" + before[1:])
    assert edged("verify", bundle, "--trust", root).code == 1
    original.write_bytes(before)


def test_check_is_0_or_1(edged: Caller, tmp_path: Path) -> None:
    made = make_used(tmp_path)
    made.close()
    said = edged("check", config=made.config_folder)
    assert (said.code, said.out.count("ok   ")) == (0, 8)
    made.original("20261121/a.mp4").chmod(0o640)
    said = edged("check", config=made.config_folder)
    assert said.code == 1
    assert "BAD  vault" in said.out
    plain = json.loads(edged("check", "--json", config=made.config_folder).out)
    assert plain["ok"] is False
    assert [name for name, found in plain["checks"].items() if found] == ["vault"]


@pytest.mark.parametrize("option", ["--trust", "--crl"])
@pytest.mark.parametrize("content", [None, b"", b"nothing in PEM", b"\x30\x82"])
def test_what_a_verifier_brings_and_cannot_be_used_is_no_verdict(
    edged: Caller, bundle: Path, tmp_path: Path, option: str, content: bytes | None
) -> None:
    path = tmp_path / "brought.pem"
    if content is not None:
        path.write_bytes(content)
    code = 66 if content is None else 64
    sentence(edged("verify", bundle, option, path), code, "brought.pem (cannot be|is no)")


# ---------------------------------------------------------------------------------------------- help and JSON


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(edged: Caller, command: str) -> None:
    said = edged(*command.split(), "--help")
    assert (said.code, said.err) == (0, "")
    assert f"Usage: edged {command} " in said.out
    # Each option, and each argument of `init` and its like, says what it is for, on its line or on the next.
    options = re.findall(r"^ +(--[a-z-]+)((?: [A-Z]+)?(?:.*\n)(?: {20,}.*\n)*)", said.out, re.MULTILINE)
    assert "--help" in dict(options)
    assert [name for name, text in options if len(re.sub(r"\s|[A-Z]{3,}|\[.*\]", "", text)) < 8] == []


def test_bare_command_and_version(edged: Caller) -> None:
    assert edged().out == edged("--help").out
    assert {"init", "run", "status", "check", "bundle", "verify", "ledger", "ledger show"} <= set(COMMANDS)
    assert re.fullmatch(r"edged [0-9]+\.[0-9]+\.[0-9]+\n", edged("--version").out)


@pytest.mark.parametrize(
    ("command", "code"),
    [(["status"], 69), (["check"], 66), (["ledger", "show"], 66), (["ledger", "prove", "0", "out"], 66)],
)
def test_error_is_json_for_whoever_asked_for_json(edged: Caller, made: Made, command: list[str], code: int) -> None:
    (made.config.paths.state / BOOK_FILE).unlink()
    said = edged(*command, "--json", config=made.config_folder)
    assert said.code == code
    error = json.loads(said.out)["error"]
    assert set(error) == {"message", "hint", "exit_code", "retry"}
    assert (error["exit_code"], error["retry"]) == (code, code == 69)
    assert error["message"] in said.err


def test_wrong_command_line_is_json_too(edged: Caller) -> None:
    said = edged("status", "--json", "--dance")
    assert json.loads(said.out)["error"]["exit_code"] == 64


# ------------------------------------------------------------------------------------------------ what is printed


def shell(command: str, made: Made) -> tuple[int, str]:
    """Run a pipe of a shell; gives the exit code of its first command, and what went to stderr."""
    script = f"{command.replace('edged', str(EDGED), 1)}; exit ${{PIPESTATUS[0]}}"
    environment = {"PATH": "/usr/bin:/bin", "EDGED_CONFIG": str(made.config_folder)}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, env=environment)
    return done.returncode, done.stderr


@pytest.mark.parametrize("command", ["ledger show", "ledger show --json", "check", "check --json"])
def test_reader_that_leaves_gets_no_verdict_and_no_complaint(made: Made, command: str) -> None:
    assert shell(f"edged {command} | true", made) == (141, "")


@pytest.mark.parametrize("command", ["ledger show", "ledger show --json", "check"])
def test_output_that_cannot_be_written_is_74(made: Made, command: str) -> None:
    code, err = shell(f"edged {command} > /dev/full", made)
    assert code == 74
    assert err.startswith("edged: The output cannot be written: No space left on device.")
