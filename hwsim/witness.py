"""Witnesses of one's own (C2SP `tlog-witness`), for the demonstration and the tests: honest, or not.

An honest one is `edged witness`, unmodified, as a process of its own. One that misbehaves is a small server that
answers as its behaviour says: it checks nothing and remembers nothing, and is there to be caught.

Guarantees: everything of a witness is in its folder; each listens on 127.0.0.1 alone.
"""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final, Literal, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edged.anchors.tlog_witness import SIZE_TYPE
from edged.anchors.witness_settings import WITNESS_TOML, make_witness, read_witness
from edged.clock import SystemClock
from edged.errors import ToolError
from edged.evidence.cosignatures import cosign, witness_vkey
from edged.evidence.note import Checkpoint, parse_note
from edged.evidence.proofs import parse_consistency

Behaviour = Literal[
    "signs-anything",  # whatever it is shown
    "wrong-key",  # under its own name
    "other-checkpoint",  # its cosignature is over another root
    "other-lines",  # it sends lines of strangers before its own
    "future",  # its clock is a year ahead
    "rolls-back",  # it says that it knows nothing, each time
    "conflict",  # it names a size that the log never had
    "no-size",  # … or no size at all
    "contradiction",  # it says that the log forked
    "stranger",  # it knows no log
    "refusal",
    "overload",
    "redirect",  # to itself
    "garbage",
    "endless",  # it never stops answering
    "slow",  # it never begins
]

_WAIT_SECONDS: Final = 30
_MAX_REQUEST_BYTES: Final = 64 << 10
_PLAIN: Final = "text/plain; charset=utf-8"
_ANSWERS: Final[dict[Behaviour, tuple[int, str, bytes]]] = {
    "stranger": (404, _PLAIN, b"unknown\n"),
    "refusal": (418, _PLAIN, b"no\n"),
    "overload": (503, _PLAIN, b"later\n"),
    "redirect": (307, _PLAIN, b""),
    "contradiction": (422, _PLAIN, b"forked\n"),
    "garbage": (200, _PLAIN, b"<html>\xff Service unavailable</html>"),
    "no-size": (409, _PLAIN, b"never mind\n"),
    "conflict": (409, SIZE_TYPE, b"999999\n"),
}
_LISTENS: Final = re.compile(r"listens at (\S+):(\d+)")


class HonestWitness:
    """`edged witness` in a folder, run as a process; it is made once, and may be killed and started again."""

    def __init__(self, folder: Path, name: str) -> None:
        """Make the witness unless its folder holds one."""
        self.folder = folder
        made = read_witness(folder) if (folder / WITNESS_TOML).exists() else make_witness(folder, name)
        self.name = name
        self.vkey = made.vkey
        self.port = 0
        self.process: subprocess.Popen[str] | None = None
        self._logs: tuple[str, ...] = ()
        self._tls: tuple[Path, Path] | None = None

    @property
    def url(self) -> str:
        """Its submission prefix; the same after each start."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def know(self, *vkeys: str) -> None:
        """Let it know these logs and no others, from its next start on."""
        self._logs = vkeys

    def speak_https(self, certificate: Path, key: Path) -> None:
        """Let it speak HTTPS from its next start on."""
        self._tls = certificate, key

    def start(self) -> None:
        """Start it and wait until it listens; at its port of before, if it had one."""
        lines = [f'name = "{self.name}"', f'listen = "127.0.0.1:{self.port}"']
        if self._tls is not None:
            lines += [f'certificate = "{self._tls[0]}"', f'key = "{self._tls[1]}"']
        lines += [f'[[log]]\nvkey = "{vkey}"' for vkey in self._logs]
        (self.folder / WITNESS_TOML).write_text("\n".join(lines) + "\n", "utf-8")
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(Path(sys.executable).parent / "edged"), "witness", "run", "--folder", str(self.folder)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env={"PATH": os.defpath, "COLUMNS": "500"},
                text=True,
            )
        stdout = self.process.stdout
        line = "" if stdout is None else stdout.readline()
        found = _LISTENS.search(line)
        if found is None:
            raise ToolError(f"The witness {self.name} does not start: {(self.folder / 'log').read_text()[-500:]}")
        self.port = int(found[2])

    def kill(self) -> None:
        """Kill it as -9 does."""
        self._end(kill=True)

    def stop(self) -> int:
        """Stop it in order; gives its exit code."""
        return self._end(kill=False)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.kill()

    def _end(self, *, kill: bool) -> int:
        process, self.process = self.process, None
        if process is None:
            return 0
        if kill:
            process.kill()
        else:
            process.terminate()
        code = process.wait(_WAIT_SECONDS)
        if process.stdout is not None:
            process.stdout.close()
        return code


class BadWitness:
    """A witness that misbehaves, at a free port of 127.0.0.1; a context manager."""

    def __init__(self, name: str, behaviour: Behaviour) -> None:
        """`behaviour` may be changed while it runs."""
        self.name = name
        self.behaviour: Behaviour = behaviour
        self.requests = 0
        self.private = Ed25519PrivateKey.generate()
        self._over = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, name="witness", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def vkey(self) -> str:
        """The verifier key that it should sign by."""
        return witness_vkey(self.name, self.private.public_key().public_bytes_raw())

    @property
    def url(self) -> str:
        """Its submission prefix."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def answer(self, body: bytes) -> tuple[int, str, bytes]:
        """Give status, type and body of an answer."""
        if self.behaviour in _ANSWERS:
            return _ANSWERS[self.behaviour]
        proof = parse_consistency(body)
        if self.behaviour == "rolls-back" and proof.old:
            return 409, SIZE_TYPE, b"0\n"
        return 200, _PLAIN, b"".join(self._lines(parse_note(proof.checkpoint).text))

    def wait(self) -> None:
        """Wait until it ends, as one that is slow."""
        self._over.wait(_WAIT_SECONDS)

    def is_over(self) -> bool:
        """Say whether it ends."""
        return self._over.is_set()

    def _lines(self, text: str) -> Sequence[bytes]:
        now = SystemClock().now()
        other = Ed25519PrivateKey.generate()
        match self.behaviour:
            case "wrong-key":
                return [cosign(text, self.name, other, now)]
            case "other-checkpoint":
                origin, size, _ = text.splitlines()
                wrong = Checkpoint(origin=origin, size=int(size), root=bytes(32)).text()
                return [cosign(wrong, self.name, self.private, now)]
            case "future":
                return [cosign(text, self.name, self.private, now + timedelta(days=365))]
            case "other-lines":
                return [cosign(text, "example.org/other", other, now), cosign(text, self.name, self.private, now)]
            case _:
                return [cosign(text, self.name, self.private, now)]


def _handler(witness: BadWitness) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _WAIT_SECONDS

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if self.path != "/add-checkpoint" or not 0 < length < _MAX_REQUEST_BYTES:
                self.send_error(400)
                return
            body = self.rfile.read(length)
            witness.requests += 1
            if witness.behaviour == "slow":
                witness.wait()
                return
            if witness.behaviour == "endless":
                self._go_on()
                return
            status, kind, answer = witness.answer(body)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(answer)))
            if status == 307:  # noqa: PLR2004 - Temporary Redirect
                self.send_header("Location", f"{witness.url}/add-checkpoint")
            self.end_headers()
            self.wfile.write(answer)

        def _go_on(self) -> None:
            self.send_response(200)
            self.end_headers()
            try:
                while not witness.is_over():
                    self.wfile.write(b"\xe2\x80\x94 " * 4096)
            except OSError:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parameter of the overridden
            """Say nothing: who wants to know counts the requests."""

    return Handler
