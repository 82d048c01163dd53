"""The systemd units: whether they are installed as shipped, and what a station's own configuration needs besides.

Where folders or addresses of the configuration lie outside of what the shipped units allow, a drop-in has to say so:
`drop_in` makes it, and `look_at_confinement` says when it is missing.
"""

import ipaddress
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from edged.bays.profiles import Profile
from edged.config import StationConfig, StorePart
from edged.station.doctor.findings import Finding, ok, problem, unseen
from edged.station.doctor.machine import Machine
from edged.station.doctor.places import needed_folders
from edged.station.files import KEYS

UNITS: Final = next(
    folder for folder in (Path(__file__).parents[2] / "units", Path(__file__).parents[3] / "systemd") if folder.is_dir()
)
"""The units that come with edged: in the installed package, or in the checkout."""

DAEMON: Final = "edged.service"
MEDIA: Final = "edged-media.service"

_FOLDERS: Final = ("/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system")
_FOLDERS_OF_SYSTEM: Final = ("/usr/lib/systemd/system", "/lib/systemd/system")
_SHIPPED_PREFIX: Final = "/usr/local/bin/"
_HIDDEN: Final = ("/home", "/root", "/run/user")
"""What ProtectHome= hides."""
_NAMED: Final = {
    "localhost": ("127.0.0.0/8", "::1/128"),
    "link-local": ("169.254.0.0/16", "fe80::/64"),
    "multicast": ("224.0.0.0/4", "ff00::/8"),
    "any": ("0.0.0.0/0", "::/0"),
}
"""systemd.resource-control(5)."""

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def shipped(prefix: Path = Path(sys.prefix)) -> dict[str, str]:
    """Give each unit as it is to be installed, by its name; `prefix` is where edged itself is installed."""
    units = {path.name: path.read_text("utf-8") for path in sorted(UNITS.glob("edged*.*")) if _is_unit(path)}
    if prefix.match("lib/edged"):
        bin_ = f"{prefix.parents[1]}/bin/"
        units = {name: text.replace(_SHIPPED_PREFIX, bin_) for name, text in units.items()}
    return units


def look_at_units(machine: Machine, prefix: Path = Path(sys.prefix)) -> Iterator[Finding]:
    """Look whether the units are installed, as they came, and enabled."""
    wrong = False
    for name, text in shipped(prefix).items():
        found = _find(machine, name)
        if found is None:
            yield problem("units", f"{name} is not installed.", "Run `make install` in the checkout.")
            return
        if found.read_text("utf-8", "replace") != text:
            wrong = True
            yield problem(
                "units",
                f"{found} is not the one that came with this edged.",
                f"Run `make install` again; what is to differ belongs into {name}.d in /etc/systemd/system.",
            )
    if not machine.runs_systemd():
        yield unseen("units", "systemd does not run here, so whether they are enabled cannot be seen.", "")
    elif machine.run("systemctl", "is-enabled", "edged.target") != "enabled":
        yield problem(
            "units", "edged.target is not enabled: after a start of the machine the station does not run.",
            "systemctl enable --now edged.target",
        )  # fmt: skip
    elif not wrong:
        yield ok("units", "The units are installed as they came, and enabled.")


def look_at_confinement(
    station: StationConfig,
    profiles: Iterable[Profile],
    machine: Machine,
    resolve: bool = True,  # noqa: FBT001, FBT002
) -> Iterator[Finding]:
    """Look whether the units let the daemon do what the configuration asks for."""
    settings = {unit: _settings(machine, unit) for unit in (DAEMON, MEDIA)}
    if any(each is None for each in settings.values()):
        yield unseen("confinement", "There are no units to look at.", "Run `make install` in the checkout.")
        return
    hidden = [path for path in needed_folders(station).values() if _below(path, map(Path, _HIDDEN))]
    if hidden:
        yield problem("confinement", f"The daemon cannot see {hidden[0]}: home folders are hidden.", "Name another.")
        return
    missing = False
    for unit in (DAEMON, MEDIA):
        wanted = drop_in(station, profiles, unit, settings[unit] or {}, resolve=resolve)
        if wanted:
            missing = True
            what = "; ".join(line for line in wanted.splitlines() if "=" in line)
            yield problem(
                "confinement",
                f"{unit} does not allow what the configuration asks for: {what}.",
                f"edged doctor --drop-in {unit} > /etc/systemd/system/{unit}.d/10-station.conf, then "
                "`systemctl daemon-reload` and restart edged.target.",
            )
    if not missing:
        yield ok("confinement", "The units allow all that the configuration asks for.")


def drop_in(
    station: StationConfig,
    profiles: Iterable[Profile],
    unit: str,
    settings: Mapping[str, list[str]] | None = None,
    *,
    resolve: bool = True,
) -> str:
    """Give what a unit with these settings lacks, by default the shipped one; empty for nothing."""
    if settings is None:
        settings = _parse([shipped()[unit]])
    lines = []
    folders = [station.paths.state] if unit == MEDIA else sorted(set(needed_folders(station).values()))
    writable = _writable(settings)
    if lacking := [folder for folder in folders if not _below(folder, writable)]:
        lines.append(f"ReadWritePaths={' '.join(map(_quoted, lacking))}")
    if unit == MEDIA:
        keys = station.paths.state / KEYS
        if not _below(keys, [Path(word.lstrip("-")) for word in settings.get("InaccessiblePaths", ())]):
            lines.append(f"InaccessiblePaths=-{_quoted(keys)}")
    else:
        allowed = _allowed(settings)
        needed = [host for host in _hosts(station) if not _reachable(host, allowed, resolve=resolve)]
        # Behind a name, addresses change.
        if any(_address(host) is None for host in needed):
            lines.append("IPAddressAllow=any")
        elif needed:
            lines.append(f"IPAddressAllow={' '.join(needed)}")
        has_commands = any(profile.unlock or profile.clock for profile in profiles)
        if has_commands and "no" not in settings.get("PrivateDevices", ["no"])[-1:]:
            lines += ["PrivateDevices=no", "DeviceAllow=char-usb_device rw"]
    return "\n".join(["[Service]", *lines, ""]) if lines else ""


def _is_unit(path: Path) -> bool:
    return path.suffix in {".service", ".socket", ".target"}


def _find(machine: Machine, name: str) -> Path | None:
    found = [machine.at(f"{folder}/{name}") for folder in (*_FOLDERS, *_FOLDERS_OF_SYSTEM)]
    return next((path for path in found if path.is_file()), None)


def _settings(machine: Machine, unit: str) -> dict[str, list[str]] | None:
    """Give the words of each setting of an installed service with its drop-ins (systemd.unit(5)); None without it."""
    found = _find(machine, unit)
    if found is None:
        return None
    drop_ins: dict[str, Path] = {}
    for folder in reversed((*_FOLDERS, *_FOLDERS_OF_SYSTEM)):
        drop_ins |= {path.name: path for path in machine.at(f"{folder}/{unit}.d").glob("*.conf")}
    files = [found, *(drop_ins[name] for name in sorted(drop_ins))]
    return _parse([path.read_text("utf-8", "replace") for path in files])


def _parse(texts: Iterable[str]) -> dict[str, list[str]]:
    settings: dict[str, list[str]] = {}
    for text in texts:
        section = ""
        for line in map(str.strip, text.replace("\\\n", " ").splitlines()):
            if line.startswith("["):
                section = line
            elif section == "[Service]" and "=" in line and not line.startswith(("#", ";")):
                name, _, value = line.partition("=")
                # An empty value takes back what was set before.
                settings[name] = [*settings.get(name, []), *_words(value)] if value.strip() else []
    return settings


def _words(value: str) -> list[str]:
    return [word.strip('"') for word in value.split()]


def _writable(settings: Mapping[str, list[str]]) -> list[Path]:
    if settings.get("ProtectSystem", [""])[-1:] != ["strict"]:
        return [Path("/")]
    paths = [Path(word.lstrip("-+")) for word in settings.get("ReadWritePaths", ())]
    return [*paths, *(Path("/var/lib") / word for word in settings.get("StateDirectory", ()))]


def _below(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _quoted(path: Path) -> str:
    return f'"{path}"' if " " in str(path) else str(path)


def _allowed(settings: Mapping[str, list[str]]) -> list[_Network]:
    if "any" not in settings.get("IPAddressDeny", ()):
        return [ipaddress.ip_network(text) for text in _NAMED["any"]]
    words = [each for word in settings.get("IPAddressAllow", ()) for each in _NAMED.get(word, (word,))]
    return [ipaddress.ip_network(word, strict=False) for word in words]


def _hosts(station: StationConfig) -> list[str]:
    """Give every host that the daemon speaks to by itself."""
    urls = [each.url for each in station.anchors.authority] + [each.url for each in station.anchors.witness]
    if isinstance(station.store, StorePart):
        urls.append(station.store.endpoint)
    hosts = [urlsplit(url).hostname for url in urls]
    if station.supervision:
        hosts.append(station.supervision.host)
    return sorted({host for host in hosts if host})


def _reachable(host: str, allowed: Iterable[_Network], *, resolve: bool) -> bool:
    """Say whether every address of a host is allowed; a name that cannot be resolved now counts as reachable."""
    address = _address(host)
    if address is not None:
        addresses = [str(address)]
    elif resolve:
        try:
            addresses = [str(found[4][0]).partition("%")[0] for found in socket.getaddrinfo(host, None)]
        except OSError:
            return True
    else:
        return True
    return all(any(ipaddress.ip_address(each) in network for network in allowed) for each in addresses)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
