"""`edged key`: the key that signs, the one for the next epoch, and the change-over between them.

A running daemon does all of it; without one the command does it itself, under the lock of the state folder.
"""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from edged.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, count, print_json, put, say
from edged.clock import SystemClock
from edged.config import StationConfig, read_station
from edged.control.client import ask
from edged.errors import UnavailableError, UnreadableError, UsageError
from edged.evidence.ids import StationId, to_id
from edged.keys import certify
from edged.station.assembly import StateLock, build, build_jobs
from edged.station.jobs.publish import PublishJob
from edged.station.keeping import Act, install_key, request_key, rotate_key, show_keys
from edged.station.parts import Parts

_ACTS: dict[str, Act] = {
    "key-show": show_keys,
    "key-request": request_key,
    "key-install": install_key,
    "key-rotate": rotate_key,
}
_MOST_STEPS = 100

RootKeyOption = Annotated[
    Path | None, typer.Option("--root-key", help="Private key of the station's own root; it stays where it is.")
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it is kept with the change-over.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    key = typer.Typer(help="The key that signs, and the change-over to the next.")
    key.command("show")(show)
    key.command("request")(request)
    key.command("install")(install)
    key.command("rotate")(rotate)
    app.add_typer(key, name="key")


def show(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Show the keys of the station, who vouches for them, and for how long."""
    with _station(config) as station:
        answer = station("key-show")
    if as_json:
        print_json(answer)
        return
    say(f"Station {answer['station']} writes into {answer['origin']}.")
    for epoch in answer["epochs"]:
        say()
        size = count(epoch["size"], "entry", "entries")
        say(f"{epoch['origin']}: {epoch['state']}, {size}, {epoch['published']} of them published")
        _say_certificate(epoch["key"])
    if (waiting := answer["waiting"]) is not None:
        say()
        state = "open, it signs when the epoch before is published to its end" if waiting["open"] else "waits"
        say(f"{waiting['origin']}: {state}")
        if waiting["certificate"] is None:
            say("  not certified yet: `edged key request` shows the request, `edged key install` takes the answer")
        elif not waiting["open"]:
            _say_certificate(waiting["certificate"])
            say("  `edged key rotate` changes over to it")
    say()
    for root in answer["roots"]:
        say(f"Root {root['subject']}, SHA-256 {root['sha256']}, until {root['not_after']}")
    for file in answer["files"]:
        say(f"{file['path']}: mode {file['mode']}{'' if file['own'] else ', of another user'}")


def request(
    config: ConfigOption = DEFAULT_CONFIG,
    out: Annotated[Path | None, typer.Option(help="File to write the request to; else it is printed.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make the key of the next epoch, and give the request (PKCS#10) for its certificate."""
    with _station(config) as station:
        answer = station("key-request")
    if out is not None:
        try:
            out.write_text(answer["request"], "utf-8")
        except OSError as error:
            raise UsageError(f"{out} cannot be written: {error.strerror}.") from error
    if as_json:
        print_json(answer)
    elif out is None:
        put(answer["request"].rstrip("\n"))
    else:
        say(f"{out} is the request for the key of {answer['origin']}.")
        say("Have it certified, and give what comes back to `edged key install`.")


def install(
    file: Annotated[Path, typer.Argument(help="What came back: the certificate and its issuers, in PEM.")],
    config: ConfigOption = DEFAULT_CONFIG,
    root: Annotated[Path | None, typer.Option(help="The authority's root in PEM, if it is a new one.")] = None,
    reason: ReasonOption = "not stated",
    wait: Annotated[bool, typer.Option("--wait", help="Do not change over yet; `edged key rotate` does.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Take in the certificate of the next epoch's key, and change over to it."""
    with _station(config) as station:
        arguments = {"certificates": _text(file)} | ({} if root is None else {"root": _text(root)})
        answer = station("key-install", **arguments)
        if not wait:
            answer |= station("key-rotate", reason=reason)
    _say_change(answer, as_json=as_json)


def rotate(
    config: ConfigOption = DEFAULT_CONFIG,
    root_key: RootKeyOption = None,
    reason: ReasonOption = "not stated",
    as_json: JsonOption = False,
) -> None:
    """Change over to the next key: one that waits, certified, or one that the station's own root certifies now."""
    with _station(config) as station:
        if root_key is not None:
            asked = station("key-request")
            key, roots, wanted = _text(root_key).encode(), asked["roots"].encode(), asked["request"].encode()
            name = StationId(station.config.station.id)
            signed = certify(key, roots, wanted, station=name, now=SystemClock().now())
            station("key-install", certificates=signed.decode())
        answer = station("key-rotate", reason=reason)
    _say_change(answer, as_json=as_json)


class _Station:
    """Whoever acts: the daemon, or this process in its place."""

    def __init__(self, config: StationConfig, parts: Parts | None) -> None:
        self.config = config
        self._parts = parts

    def __call__(self, act: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        if self._parts is None:
            answer: dict[str, Any] = ask(self.config.control_socket, act, **arguments)
            return answer
        if act == "key-rotate":
            self.publish()
        done = _ACTS[act](self._parts, arguments, f"user:{to_id(_user())}")
        if act == "key-rotate":
            self.publish()
        return done

    def publish(self) -> None:
        """Publish what is due, as far as central storage can be reached: the daemon goes on where this stops."""
        if self._parts is None:
            return
        for job in build_jobs(self._parts):
            for _ in range(_MOST_STEPS if isinstance(job, PublishJob) else 0):
                if not job.step(self._parts.stop):
                    break


@contextmanager
def _station(folder: Path) -> Iterator[_Station]:
    config = read_station(folder)
    try:
        ask(config.control_socket, "status")
    except UnavailableError:
        pass
    else:
        yield _Station(config, None)
        return
    lock = StateLock(config.paths.state)
    try:
        parts = build(folder.absolute(), SystemClock())
        try:
            yield _Station(config, parts)
        finally:
            if parts.store is not None:
                parts.store.close()
            parts.book.close()
    finally:
        lock.release()


def _say_certificate(certificate: dict[str, Any] | None) -> None:
    if certificate is None:
        say("  its certificate is not here")
        return
    term = f"{certificate['not_before']} to {certificate['not_after']}"
    say(f"  certificate    {certificate['subject']}, SHA-256 {certificate['sha256']}")
    say(f"  issued by      {certificate['issuer']}")
    say(f"  valid          {term}: {certificate['days_left']} days left")


def _say_change(answer: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
    elif "opened" in answer:
        say(f"{answer['closed']} is closed, and {answer['opened']} is open.")
        say("The old key is destroyed as soon as all that it has to sign is published; `edged key show` says so.")
    else:
        say(f"The key of {answer['origin']} is certified, and waits.")


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is not PEM"
        raise UnreadableError(f"{path} cannot be read: {cause}.") from error


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid-{os.getuid()}"
