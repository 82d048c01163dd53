"""The command line of hwsim; the one place where its errors become exit codes (those of `edged.errors`)."""

import fnmatch
import secrets
import signal
import sys
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Annotated, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer
from rich.console import Console

from edged.clock import SystemClock
from edged.errors import EdgedError, StoppedError, UnavailableError, UsageError
from hwsim import bays
from hwsim.cards import files_on, write_card
from hwsim.demo.play import play
from hwsim.kernel import acts as kernel
from hwsim.layouts import LAYOUTS
from hwsim.layouts.layout import Worn
from hwsim.script import Feature, Order, plan
from hwsim.torture.run import Telling, ability, torture
from hwsim.video import find_camera
from hwsim.watching import ReadWatch

# Some versions of typer bring a click of their own. Of the errors about a command line this one is public in all,
# and its base is what the others share.
_WrongUsage = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])

_DEFAULTS = {"gat947": ("EG01234", "138001"), "dcim": ("CAM-07", "138002"), "sidecar": ("SC20451", "138003")}
_FAULTS = f"Comma-separated, or 'all': {', '.join(Feature)}."

KernelOption = Annotated[
    bool,
    typer.Option("--kernel", help="At a physical port of this machine, pci-0000:00:14.0-usb-0:2.1 (needs root)."),
]

app = typer.Typer(
    help="Simulated recorders to run the unmodified station against.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def record(  # noqa: PLR0913, PLR0917 - one parameter an option
    out: Annotated[Path, typer.Argument(help="Card folder to make; must not exist yet.")],
    layout: Annotated[str, typer.Option(help=f"How the card is laid out: {', '.join(LAYOUTS)}.")],
    recorder: Annotated[str, typer.Option(help="Device number or name; default: one of the layout.")] = "",
    officer: Annotated[str, typer.Option(help="Officer's number; default: one of the layout.")] = "",
    segments: Annotated[int, typer.Option(min=1, help="Regular video segments.")] = 4,
    seconds: Annotated[int, typer.Option(min=1, help="Length of each in seconds.")] = 15,
    start: Annotated[str, typer.Option(help="Begin of the day, ISO 8601; default: four hours ago.")] = "",
    zone: Annotated[str, typer.Option(help="Time zone of the recorder's clock.")] = "Asia/Shanghai",
    seed: Annotated[int, typer.Option(help="The same seed gives the same card.")] = 1,
    faults: Annotated[str, typer.Option(help=_FAULTS)] = "",
) -> None:
    """Make a card with real video, sound and whatever else such a recorder holds."""
    device, wearer = _DEFAULTS.get(layout, ("", ""))
    worn = Worn(device=recorder or device, officer=officer or wearer, zone=_zone(zone))
    order = Order(
        layout=layout,
        worn=worn,
        start=_start(start, worn.zone),
        segments=segments,
        seconds=seconds,
        seed=seed,
        features=_features(faults),
    )
    write_card(plan(order), out, find_camera())
    for path in files_on(out):
        typer.echo(f"{(out / path.decode('utf-8', 'surrogateescape')).stat().st_size:>12} {ascii(path)[2:-1]}")


@app.command()
def dock(  # noqa: PLR0913, PLR0917 - one parameter an option
    card: Annotated[Path, typer.Argument(help="Card folder; it is moved. With --kernel also an image of a card.")],
    bay: Annotated[str, typer.Argument(help="INTAKE/NAME: a free name in the station's intake folder; or the port.")],
    in_kernel: KernelOption = False,  # noqa: FBT002 - an option
    usb: Annotated[str, typer.Option(help="With --kernel: USB id, VENDOR:PRODUCT.")] = "04c5:2028",
    serial: Annotated[str, typer.Option(help="With --kernel: serial number of the device; default: card name.")] = "",
    clock_error: Annotated[
        float | None,
        typer.Option(help="A sidecar logs that it is connected, by a clock so many seconds wrong; not with --kernel."),
    ] = None,
) -> None:
    """Put a card into a bay."""
    if not in_kernel:
        shown = None if clock_error is None else SystemClock().now() + timedelta(seconds=clock_error)
        bays.dock(card, Path(bay), shown=shown)
        return
    if clock_error is not None:
        raise UsageError("a card at a port cannot be written to any more", hint="Leave --clock-error out.")
    docked = kernel.dock(card, bay, usb=usb, serial=serial)
    typer.echo(f"{docked.device}\t{docked.image}")


@app.command()
def yank(
    bay: Annotated[str, typer.Argument(help="INTAKE/NAME of the docked card; or the port.")],
    to: Annotated[
        Path | None, typer.Argument(help="Where the card folder is to lie afterwards; not with --kernel.")
    ] = None,
    reading: Annotated[
        str, typer.Option(help="Wait until the station reads a file whose name is like this (* and ?).")
    ] = "",
    patience: Annotated[float, typer.Option(min=0, help="For how many seconds.")] = 60.0,
    in_kernel: KernelOption = False,  # noqa: FBT002 - an option
) -> None:
    """Take a card out, whole, busy or not."""
    if in_kernel:
        kernel.yank(bay)
        return
    if to is None:
        raise UsageError("it is not said where the card is to lie afterwards", hint="See `hwsim yank --help`.")
    if reading:
        with ReadWatch(Path(bay)) as watch:
            wanted = watch.wait(lambda name: fnmatch.fnmatchcase(name, reading), SystemClock(), patience)
        if wanted is None:
            raise UnavailableError(f"nobody read {reading} in {bay} for {patience:g} seconds; it stays docked")
    bays.yank(Path(bay), to)


@app.command(name="list")
def list_(
    intake: Annotated[Path | None, typer.Argument(help="The station's intake folder; not with --kernel.")] = None,
    in_kernel: KernelOption = False,  # noqa: FBT002 - an option
) -> None:
    """List docked cards: name, files, bytes; with --kernel: device, port, USB id, serial number, image."""
    if in_kernel:
        for each in kernel.docked():
            typer.echo(f"{each.device}\t{each.port}\t{each.usb}\t{each.serial}\t{each.image}")
        return
    if intake is None:
        raise UsageError("it is not said which folder", hint="See `hwsim list --help`.")
    for card in bays.docked(intake):
        typer.echo(f"{card.name}\t{card.files}\t{card.size_bytes}")


@app.command()
def clean() -> None:
    """Pull out all that is docked with --kernel, and remove what an hwsim that was killed left in kernel and udev."""
    kernel.clean()


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where everything goes; an earlier demo there is removed.")],
    in_kernel: KernelOption = False,  # noqa: FBT002 - an option
) -> None:
    """Show the whole way of footage, from recorder to verified bundle, with the real station."""
    try:
        play(folder.absolute(), Console(), in_kernel=in_kernel)
    except KeyboardInterrupt as interrupt:
        raise StoppedError("interrupted; everything that was started is stopped") from interrupt


@app.command(name="torture")
def torture_(  # noqa: PLR0913, PLR0917 - one parameter an option
    rounds: Annotated[int, typer.Option(min=1, help="How many.")] = 10,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of the first round; each further one has the next. Default: by chance.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where stations are made, on a disk; default: a new folder in /var/tmp.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the folders of rounds in which all held, too.")] = False,  # noqa: FBT002 - an option
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a round.")] = False,  # noqa: FBT002 - an option
    in_kernel: Annotated[  # noqa: FBT002 - an option
        bool, typer.Option("--kernel", help="Recorders as USB disks of this machine, with the mounter (needs root).")
    ] = False,
) -> int:
    """Kill, yank, cut, fill and corrupt around real stations, by seeds, and check after each round that all holds."""
    able = ability(in_kernel=in_kernel)
    telling = Telling(typer.echo, able, as_json=as_json)
    try:
        failed = torture(
            rounds=rounds,
            seed=secrets.randbelow(1_000_000) if seed is None else seed,
            means=able.means,
            folder=None if folder is None else folder.absolute(),
            keep=keep,
            tell=telling.round,
        )
    except KeyboardInterrupt as interrupt:
        raise StoppedError("interrupted; everything that was started is stopped") from interrupt
    telling.end(failed)
    return 1 if failed else 0


def main() -> None:
    """Run the command line; an error is one sentence, perhaps a hint, and its exit code."""
    # Whoever starts it in the background of a script has it ignore the one.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(_run(sys.argv[1:]))


def _run(arguments: list[str]) -> int:
    try:
        code = app(args=arguments or ["--help"], standalone_mode=False)
    except _WrongUsage as error:
        return _say(UsageError(error.format_message(), hint="See `hwsim --help`."))
    except EdgedError as error:
        return _say(error)
    return code if isinstance(code, int) else 0


def _say(error: EdgedError) -> int:
    sys.stderr.write(f"hwsim: {error.message}\n")
    if error.hint:
        sys.stderr.write(f"       {error.hint}\n")
    return error.exit_code


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Leave by the way of ctrl-C, so that everything started is stopped on the way out."""
    del number, frame
    raise KeyboardInterrupt


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(f"{name!r} is no time zone of the IANA list, such as Asia/Shanghai") from error


def _start(text: str, zone: ZoneInfo) -> datetime:
    if not text:
        return SystemClock().now().replace(second=0, microsecond=0) - timedelta(hours=4)
    try:
        start = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no time such as 2026-11-21T08:30:00") from error
    return start if start.tzinfo else start.replace(tzinfo=zone)


def _features(text: str) -> frozenset[Feature]:
    if text == "all":
        return frozenset(Feature)
    try:
        return frozenset(Feature(name.strip()) for name in text.split(",") if name.strip())
    except ValueError as error:
        raise UsageError(f"{error}", hint=_FAULTS) from error
