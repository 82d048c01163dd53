"""A station of its own for each test: the unmodified daemon as a child process, and what the ledger says came of it."""

import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeVar

from edged.clock import SystemClock
from edged.control.client import ask
from edged.errors import UnavailableError
from edged.evidence.ids import RecorderId, Sha256, StationId, escape_path, segment_id
from edged.station.creation import NewStation, create
from edged.stores.s3 import S3Settings
from hwsim.bays import dock
from hwsim.cards import files_on
from hwsim.proxy import Proxy
from hwsim.quick import quick_card

BIN: Final = Path(sys.executable).parent
PATIENCE_SECONDS: Final = 60.0
OFFICER: Final = "138001"

SECURING: Final = ("securing", "safe")
"""Phases of a docking whose files are all sealed and wait for their clearance."""
ENDED: Final = ("done", "kept", "refused")

_T = TypeVar("_T")
Body = dict[str, Any]

RECORDERS: Final = {"BC00001": "gat947", "BC00002": "gat947", "CAM-07": "dcim", "SC20451": "sidecar"}
"""Serial number (and id) of each registered recorder, and its profile."""


def clip_path(number: int, device: str = "BC00001", *, important: bool = False) -> bytes:
    """Give the path of a recorder's n-th recording in the layout gat947."""
    minute, second = divmod(number, 60)
    mark = "_IMP" if important else ""
    return f"20260105/{device}_{OFFICER}_2026010508{minute:02}{second:02}_{number:04}{mark}.MP4".encode()


def sg(recorder: str, content: bytes) -> str:
    """Give the id that the segment with this content must have."""
    return segment_id(RecorderId(recorder), Sha256(sha256(content).hexdigest()))


def read_card(root: Path) -> dict[bytes, bytes]:
    """Read all regular files of a card."""
    return {path: (root / os.fsdecode(path)).read_bytes() for path in files_on(root)}


def until(
    condition: Callable[[], _T | None],
    what: str,
    *,
    seconds: float = PATIENCE_SECONDS,
    otherwise: Callable[[], str] = str,
) -> _T:
    """Wait until a condition gives something true, and give it; else say what was waited for, and `otherwise`."""
    clock, pause = SystemClock(), threading.Event()
    deadline = clock.monotonic() + seconds
    while True:
        asked = clock.monotonic()
        if found := condition():
            return found
        now = clock.monotonic()
        assert now < deadline, f"not in {seconds:.0f} s: {what}. {otherwise()}"
        # Asking must not keep from its work whoever is asked.
        pause.wait(max(0.01, 2 * (now - asked)))


@dataclass(frozen=True, kw_only=True)
class Result:
    """What dockings came to, without what differs from run to run (ids of dockings, times, order)."""

    sealed: frozenset[tuple[str, str]]
    """Path and segment."""
    sighted: frozenset[tuple[str, str]]
    wiped: frozenset[tuple[str, str, str]]
    """Path, segment, outcome."""
    ended: tuple[tuple[str, int], ...]
    """Outcome and remaining files of each docking, in order."""


@dataclass(kw_only=True)
class Station:
    """A station in one folder, its shelf of cards, and at most one daemon."""

    folder: Path
    store: S3Settings | None
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Keys of `station.toml` that differ from those below, by table."""
    recorders: Mapping[str, str] = field(default_factory=lambda: dict(RECORDERS))
    daemon: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def vault(self) -> Path:
        return Path(self.tables.get("paths", {}).get("vault", self.folder / "vault"))

    @property
    def bays(self) -> Path:
        return self.folder / "bays"

    @property
    def shelf(self) -> Path:
        return self.folder / "shelf"

    @property
    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    # ------------------------------------------------------------------------------------------ making it

    def make(self) -> None:
        """Make the station with `edged init`'s own code, then configure it."""
        new = NewStation(
            station=StationId("st-01"),
            domain="example.org",
            zone="Asia/Shanghai",
            config=self.config,
            state=self.state,
            root_key=self.folder / "root.key",
        )
        create(new, SystemClock())
        for made in (self.bays, self.shelf, self.folder / "cases"):
            made.mkdir()
        self.configure()

    def configure(self, **tables: dict[str, Any]) -> None:
        """Write `station.toml`, the register and the credentials, as IT does with an editor."""
        for table, keys in tables.items():
            self.tables[table] = self.tables.get(table, {}) | keys
        base: dict[str, dict[str, Any]] = {
            "station": {"id": "st-01", "domain": "example.org", "zone": "Asia/Shanghai"},
            "paths": {"state": self.state, "vault": self.vault, "reserve_mib": 16},
            "bays": {"source": "directory", "folder": self.bays, "settle_seconds": 0.1, "wipe": "after-clearance"},
            "cases": {"folder": self.folder / "cases"},
            "media": {"derivatives": []},
            "ledger": {"publish_seconds": 0.1},
        }
        if self.store is not None:
            credentials = self.folder / "s3.toml"
            credentials.write_text(f'access_key = "{self.store.access_key}"\nsecret_key = "{self.store.secret_key}"\n')
            base["store"] = {
                "kind": "s3",
                "id": self.store.id,
                "endpoint": self.store.endpoint,
                "bucket": self.store.bucket,
                "credentials": credentials,
            }
        lines: list[str] = []
        for name in [*base, *(self.tables.keys() - base.keys())]:
            lines.append(f"[{name}]")
            values = base.get(name, {}) | self.tables.get(name, {})
            lines += [f"{key} = {_toml(value)}" for key, value in values.items()]
        (self.config / "station.toml").write_text("\n".join(lines) + "\n", "utf-8")
        register = [f'[[officer]]\nid = "{OFFICER}"\n']
        register += [
            f'[[recorder]]\nid = "{serial}"\nprofile = "{profile}"\nserial = "{serial}"\n'
            for serial, profile in self.recorders.items()
        ]
        (self.config / "register.toml").write_text("\n".join(register), "utf-8")

    # --------------------------------------------------------------------------------------------- cards

    def card(self, name: str, files: Mapping[bytes, bytes]) -> Path:
        """Put a card with these files on the shelf."""
        root = self.shelf / name
        quick_card(root, files)
        return root

    def dock(self, card: Path, bay: str | None = None) -> Path:
        """Put a card into a bay, by default one of its own name."""
        root = self.bays / (bay or card.name)
        dock(card, root)
        return root

    def pull(self, bay: Path) -> Path:
        """Take a card out of its bay, busy or not."""
        back = self.shelf / bay.name
        bay.rename(back)
        return back

    # -------------------------------------------------------------------------------------------- daemon

    def start(self, *, wrap: tuple[str, ...] = (), ready: bool = True) -> int:
        """Start the daemon and wait until it answers; gives its process id."""
        assert self.daemon is None
        with (self.folder / "log").open("ab") as log:
            self.daemon = subprocess.Popen(
                [*wrap, str(BIN / "edged"), "run", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(),
                start_new_session=True,
            )
        if ready:
            until(self.answers, "the daemon answers")
        return self.daemon.pid

    def answers(self) -> bool:
        """Say whether the daemon answers; fails if it has ended."""
        assert self.daemon is not None
        assert self.daemon.poll() is None, f"the daemon ended with {self.daemon.returncode}: {self.log[-2000:]}"
        try:
            self.status()
        except UnavailableError:
            return False
        return True

    def kill(self) -> None:
        """Kill the daemon as -9 does."""
        assert self.daemon is not None
        self.daemon.kill()
        self.daemon.wait()
        self.daemon = None

    def stop(self) -> None:
        """Stop the daemon in order, and expect that it ends well."""
        assert self.daemon is not None
        self.daemon.terminate()
        code = self.daemon.wait(PATIENCE_SECONDS)
        self.daemon = None
        assert code == 0, self.log[-4000:]

    def clean_up(self) -> None:
        """Leave no daemon behind."""
        if self.daemon is not None:
            self.kill()

    @contextmanager
    def running(self) -> Iterator[int]:
        """Run the daemon for as long as this lasts."""
        pid = self.start()
        try:
            yield pid
            self.stop()
        finally:
            self.clean_up()

    def status(self) -> dict[str, Any]:
        """Ask the daemon what it is doing."""
        answer: dict[str, Any] = ask(self.state / "control.sock", "status")
        return answer

    def alarm(self, source: str, part: str = "") -> dict[str, Any] | None:
        """Give the alarm of a source whose text holds a part, if there is one."""
        found = [each for each in self.status()["alarms"] if each["source"] == source and part in each["text"]]
        return found[0] if found else None

    def bay(self, name: str) -> dict[str, Any]:
        """Give what the daemon shows of a bay; nothing for one without a recorder."""
        found: list[dict[str, Any]] = [bay for bay in self.status()["bays"] if bay["bay"] == name]
        return found[0] if found else {"phase": None, "text": "", "removable": True}

    def until_phase(self, bay: Path, *phases: str, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """Wait until a bay is in one of some phases."""

        def reached() -> dict[str, Any] | None:
            state = self.bay(bay.name)
            return state if state["phase"] in phases else None

        what = f"bay {bay.name} is {' or '.join(phases)}"
        return until(reached, what, seconds=seconds, otherwise=lambda: f"{self.bay(bay.name)} {self.log[-2000:]}")

    def run(self, *arguments: str, wrap: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """Run a command of edged to its end."""
        return subprocess.run(
            [*wrap, str(BIN / "edged"), *arguments, "--config", str(self.config)],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            env=environment(),
        )

    # ---------------------------------------------------------------------------------- what came of it

    def entries(self, *types: str) -> list[Body]:
        """Give the ledger's entries, whole, in order, of some types or of all."""
        with closing(sqlite3.connect(f"file:{self.state}/book.sqlite?mode=ro", uri=True)) as book:
            wanted = f"WHERE type IN ({', '.join('?' * len(types))})" if types else ""
            rows = book.execute(f"SELECT bytes FROM entry {wanted} ORDER BY position", types).fetchall()  # noqa: S608
        return [json.loads(row[0]) for row in rows]

    def size(self, of_type: str = "%") -> int:
        """Give the number of the ledger's entries, of one type or of all."""
        with closing(sqlite3.connect(f"file:{self.state}/book.sqlite?mode=ro", uri=True)) as book:
            (size,) = book.execute("SELECT count(*) FROM entry WHERE type LIKE ?", [of_type]).fetchone()
        return int(size)

    def bodies(self, *types: str) -> list[Body]:
        """Give the bodies of entries."""
        return [entry["body"] for entry in self.entries(*types)]

    def anomalies(self, *kinds: str) -> list[Body]:
        """Give the bodies of anomalies of some kinds, or of all."""
        return [body for body in self.bodies("anomaly") if not kinds or body["kind"] in kinds]

    def result(self) -> Result:
        """Give what all dockings together came to."""
        return Result(
            sealed=frozenset((body["path"], body["segment"]) for body in self.bodies("segment")),
            sighted=frozenset((body["path"], body["segment"]) for body in self.bodies("sighting")),
            wiped=frozenset((body["path"], body["segment"], body["outcome"]) for body in self.bodies("wipe")),
            ended=tuple((body["outcome"], body["remaining"]) for body in self.bodies("undocking")),
        )

    def originals(self) -> dict[str, Path]:
        """Give the file of each segment in the vault; one folder a segment, one original a folder."""
        found: dict[str, Path] = {}
        for path in (self.vault / "segments").glob("*/*/*/*/*/*"):
            if path.name != "chunks.sha256":
                assert path.parent.name not in found, f"two originals of {path.parent.name}"
                found[path.parent.name] = path
        return found

    def is_whole(self) -> None:
        """Fail unless `edged check --deep` finds everything as it must be."""
        done = self.run("check", "--deep")
        assert done.returncode == 0, done.stdout + done.stderr

    def holds(self, recorder: str, files: Mapping[bytes, bytes]) -> None:
        """Fail unless the vault holds each of these files byte for byte, each once, and the ledger its path."""
        originals = self.originals()
        accounted = {(body["path"], body["segment"]) for body in self.bodies("segment", "sighting")}
        for path, content in files.items():
            segment = sg(recorder, content)
            assert (escape_path(path), segment) in accounted, f"{path!r} is neither sealed nor sighted"
            assert originals[segment].read_bytes() == content, f"{path!r} is not in the vault as it was"
        sealed = [body["segment"] for body in self.bodies("segment")]
        assert len(sealed) == len(set(sealed)), "a segment was sealed twice"
        assert set(originals) == set(sealed), "the vault and the ledger do not hold the same"
        assert not list((self.vault / "incoming").iterdir())


def environment(**more: str) -> dict[str, str]:
    """Give what a child of the tests needs of the environment, and nothing else."""
    kept = ("HOME", "TMPDIR", "LANG")
    return {"PATH": os.defpath} | {name: os.environ[name] for name in kept if name in os.environ} | more


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    return str(value) if isinstance(value, int | float) else json.dumps(value, default=str)


def wait_for(station: Station, kind: str, count: int) -> None:
    """Wait until the ledger has so many entries of a type."""
    until(lambda: len(station.bodies(kind)) >= count, f"{count} entries of type {kind}", otherwise=lambda: station.log)


@contextmanager
def off_the_network(station: Station) -> Iterator[None]:
    """Run the daemon cut off from central storage, so that dockings wait for their clearance; then connect it.

    Leaving waits until every docking has ended, and stops the daemon.
    """
    assert station.store is not None
    host, _, port = station.store.endpoint.removeprefix("http://").partition(":")
    with Proxy((host, int(port))) as proxy:
        proxy.down()
        station.store = replace(station.store, endpoint=f"http://127.0.0.1:{proxy.port}")
        station.configure()
        with station.running():
            yield
            proxy.up()
            until(lambda: all(bay["phase"] in ENDED for bay in station.status()["bays"]), "the dockings end")
