"""Logging to the journal, by its own protocol, on a real datagram socket."""

import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edged.cli.logs import JournalHandler


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.settimeout(5.0)
        made.bind(str(tmp_path / "journal"))
        yield made


@pytest.fixture
def log(tmp_path: Path) -> Iterator[logging.Logger]:
    handler = JournalHandler(tmp_path / "journal")
    logger = logging.getLogger("edged.test")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    yield logger
    logger.removeHandler(handler)
    handler.close()


def fields(datagram: bytes) -> dict[str, str]:
    """Read a datagram as systemd's page on the native protocol says it is."""
    read = {}
    while datagram:
        name, _, datagram = datagram.partition(b"\n")
        length = int.from_bytes(datagram[:8], "little")
        read[name.decode()] = datagram[8 : 8 + length].decode()
        assert datagram[8 + length : 9 + length] == b"\n"
        datagram = datagram[9 + length :]
    return read


def test_record_becomes_fields(journal: socket.socket, log: logging.Logger) -> None:
    log.warning("the %s is full", "vault")
    assert fields(journal.recv(1 << 16)) == {
        "MESSAGE": "the vault is full",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "edged",
        "LOGGER": "edged.test",
        "THREAD": "MainThread",
    }


@pytest.mark.parametrize("name", ["bay bay-11", "seal bay-11"])
def test_what_happens_in_a_bay_bears_its_name(journal: socket.socket, log: logging.Logger, name: str) -> None:
    thread = threading.Thread(target=log.info, args=("docked",), name=name)
    thread.start()
    thread.join()
    assert fields(journal.recv(1 << 16))["EDGED_BAY"] == "bay-11"


def test_text_of_others_makes_no_field_and_no_line_of_its_own(journal: socket.socket, log: logging.Logger) -> None:
    log.error("odd name: %s", "a\nPRIORITY=0\nEDGED_BAY\n文")
    read = fields(journal.recv(1 << 16))
    assert read["PRIORITY"] == "3"
    assert "EDGED_BAY" not in read
    assert read["MESSAGE"].endswith("\n文")


def test_trace_is_one_record_and_an_endless_one_is_cut(journal: socket.socket, log: logging.Logger) -> None:
    try:
        int("x" * 100_000, 36 + 1)
    except ValueError:
        log.exception("failed unexpectedly: %s", "x" * 100_000)
    read = fields(journal.recv(1 << 17))
    assert read["MESSAGE"].startswith("failed unexpectedly: xxx")
    assert len(read["MESSAGE"]) == 32_768


def test_journal_that_went_away_leaves_the_line_on_standard_error(
    journal: socket.socket, log: logging.Logger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del journal
    (tmp_path / "journal").unlink()
    log.error("two\nlines")
    assert capsys.readouterr().err == "<3>two\n<3>lines\n"


@pytest.mark.parametrize(("stream", "to_journal"), [("{dev}:{ino}", True), ("1:1", False), ("", False)])
def test_journal_is_taken_only_if_standard_error_leads_there(tmp_path: Path, stream: str, *, to_journal: bool) -> None:
    """A program that a service starts with another standard error inherits $JOURNAL_STREAM all the same."""
    with (tmp_path / "err").open("wb") as err:
        status = os.fstat(err.fileno())
        program = "from edged.cli.logs import _stderr_is_journal as f; print(f())"
        done = subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            stdout=subprocess.PIPE,
            stderr=err,
            env=os.environ | {"JOURNAL_STREAM": stream.format(dev=status.st_dev, ino=status.st_ino)},
            text=True,
        )
    assert done.stdout.strip() == str(to_journal)
