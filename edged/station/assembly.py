"""Builds the parts of a station from its configuration: the one place that knows every room.

Order: configuration whole and right; the state folder locked against a second daemon; key; book; vault; store.
Nothing is written before all of it is known to be usable.
"""

import fcntl
import os
import pwd
import shutil
import threading
from datetime import timedelta
from functools import partial
from pathlib import Path

from edged.bays.profiles import load_profiles
from edged.bays.register import load_register
from edged.book import Book
from edged.cases.disk import DiskFeed
from edged.cases.folder import FeedFolder
from edged.clock import Clock, SystemClock
from edged.config import (
    STATION_FILE,
    Credentials,
    DirectoryStorePart,
    StationConfig,
    StorePart,
    read_station,
    read_toml,
)
from edged.errors import ConfigError, InUseError, NotAllowedError
from edged.evidence import canonical
from edged.evidence.digests import has_sm3, sha256_hex
from edged.evidence.ids import HANDED_IN, Sha256, StationId, StoreId, is_handed_in
from edged.keys import KeyFolder
from edged.media.media import Media
from edged.media.sandbox import Sandbox
from edged.rules.matters import Catalogue, Matters, catalogue
from edged.rules.retention import Retention
from edged.station.anchoring import check_anchors, open_authorities, open_witnesses
from edged.station.files import KEYS, LOCK, making_folder, sealed_place
from edged.station.jobs.anchor import AuthorityJob, RoundsJob, WitnessJob
from edged.station.jobs.anchor_copies import AnchorCopiesJob
from edged.station.jobs.classify import ClassifyJob, FeedJob
from edged.station.jobs.derive import DeriveJob
from edged.station.jobs.keys import KeyJob
from edged.station.jobs.publish import PublishJob
from edged.station.jobs.relock import RelockJob
from edged.station.jobs.replicate import ReplicateJob
from edged.station.jobs.reread import RereadJob
from edged.station.jobs.retire import RetireJob
from edged.station.jobs.room import RoomJob
from edged.station.jobs.station_clock import StationClockJob
from edged.station.live import Live
from edged.station.parts import Parts
from edged.station.reporting import broker_settings
from edged.station.room import Room
from edged.station.turns import Turns
from edged.station.vendor import VendorCommands
from edged.station.worker import Job, Pulse
from edged.stores.directory import DirectorySettings, DirectoryStore
from edged.stores.port import Store
from edged.stores.s3 import S3Settings, S3Store
from edged.supervision.settings import tls_context
from edged.vault.disk import Disk
from edged.vault.vault import Vault

_LOCK_TRIES = 20
_LOCK_PAUSE_SECONDS = 0.1


class StateLock:
    """Holds a state folder for one daemon; the kernel lets go of it when the process ends, however it ends."""

    def __init__(self, state: Path) -> None:
        """Take the lock; raises InUseError if another process has it, ConfigError if there is no such folder."""
        _check_owner(state)
        try:
            self._fd = os.open(state / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(
                f"The state folder {state} cannot be used: {error.strerror}.",
                hint="Make the station with `edged init`, and run it as the user that owns the folder.",
            ) from error
        for tries_left in reversed(range(_LOCK_TRIES)):
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if tries_left:
                    # A child of a daemon that was killed holds it until it has become another program, or is gone.
                    threading.Event().wait(_LOCK_PAUSE_SECONDS)
                    continue
                os.close(self._fd)
                raise InUseError(
                    f"Another edged is running on {state}.", hint="Only one daemon may write a ledger; stop the other."
                ) from error

    def release(self) -> None:
        """Let go."""
        os.close(self._fd)


def _check_owner(state: Path) -> None:
    """Raise NotAllowedError unless the state folder is this user's: files of another one's would stop the daemon."""
    if state.is_dir() and (owner := state.stat().st_uid) != os.geteuid():
        try:
            name = pwd.getpwuid(owner).pw_name
        except KeyError:
            name = f"#{owner}"
        raise NotAllowedError(f"The station in {state} belongs to the user {name}.", hint=f"Use `sudo -u {name} …`.")


def build(config_folder: Path, clock: Clock, *, disk: Disk | None = None, sandbox: Sandbox | None = None) -> Parts:
    """Build everything a running station is made of; raises EdgedError with what to do.

    The caller holds the `StateLock`.
    """
    config = read_station(config_folder)
    _check_digests(config)
    _check_folders(config)
    _check_bays(config)
    rules = read_catalogue(config_folder)
    profiles = load_profiles(config_folder / "recorders")
    load_register(config_folder / "register.toml", profiles)
    key = KeyFolder(config.paths.state / KEYS)
    key.check()
    store = None if config.store is None else open_store(config.store)
    book = Book(config.paths.state, station=StationId(config.station.id), clock=clock)
    disk = disk or Disk()
    pulse = Pulse()
    book.database.on_news(pulse.beat)
    vault = Vault(config.paths.vault, disk)
    vault.incoming.clear()
    vault.unsealed.clear(partial(sealed_place, book))
    shutil.rmtree(making_folder(config.paths.state), ignore_errors=True)
    stop = threading.Event()
    parts = Parts(
        config=config,
        config_folder=config_folder,
        clock=clock,
        disk=disk,
        book=book,
        vault=vault,
        room=Room(config.paths, disk, clock, pulse),
        key=key,
        store=store,
        media=Media(sandbox or Sandbox(clock)),
        profiles=profiles,
        catalogue=rules,
        policy=policy_digest(config_folder),
        live=Live(clock),
        pulse=pulse,
        stop=stop,
        vendor=VendorCommands(clock, stop),
        turns=Turns(config.bays.at_once, clock),
    )
    parts.register()
    return parts


def _check_digests(config: StationConfig) -> None:
    """Refuse to start where a digest is asked for that this machine cannot compute."""
    if config.ledger.sm3 and not has_sm3():
        raise ConfigError(
            "ledger.sm3 is true, but the OpenSSL of this machine cannot compute SM3.",
            hint="Install an OpenSSL with SM3, or set sm3 = false: SHA-256 is always computed.",
        )


def _check_folders(config: StationConfig) -> None:
    """Refuse what is no folder; one for the vault that is not there yet is made, one where recorders appear is not."""
    needed = [("paths.vault", config.paths.vault, False)]
    if config.bays.source == "directory" and config.bays.folder is not None:
        needed.append(("bays.folder", config.bays.folder, True))
    for key, folder, must_exist in needed:
        if not folder.is_dir() and (must_exist or folder.exists()):
            raise ConfigError(
                f"{STATION_FILE}: {key} is {str(folder)!r}, which is no folder.",
                hint="Nothing was changed. Correct the file and try again.",
            )


def _check_bays(config: StationConfig) -> None:
    for port, bay in config.bays.ports.items():
        if is_handed_in(bay):
            raise ConfigError(
                f"{STATION_FILE}: bays.ports calls the bay at {port} {bay!r}; what a person hands in is called so.",
                hint=f"Nothing was changed. Give it a name that does not begin with {HANDED_IN} and try again.",
            )


def build_jobs(parts: Parts) -> list[Job]:
    """Give the kinds of background work this station does."""
    config = parts.config
    classify = ClassifyJob(parts)
    feed = FeedFolder(DiskFeed(config.cases.folder), parts.zone)
    jobs: list[Job] = [RoomJob(parts), RereadJob(parts), classify, FeedJob(parts, feed, on_cases=classify.reconsider)]
    jobs += [DeriveJob(parts, kind) for kind in config.media.derivatives]
    jobs.append(StationClockJob(parts))
    if parts.store is not None and config.store is not None:
        horizon = timedelta(days=config.store.lock_horizon_days)
        jobs.append(ReplicateJob(parts, parts.store, at_once=config.store.uploads_at_once, horizon=horizon))
        jobs.append(PublishJob(parts, parts.store))
        jobs.append(KeyJob(parts))
        jobs.append(RelockJob(parts, parts.store, horizon=horizon))
        jobs += _build_anchoring(parts, parts.store)
        if (days := config.paths.retire_after_days) is not None:
            jobs.append(RetireJob(parts, parts.store, after=timedelta(days=days)))
    return jobs


def _build_anchoring(parts: Parts, store: Store) -> list[Job]:
    """Give what has the ledger bounded in time; nothing is published, so nothing anchored, without a store."""
    part = parts.config.anchors
    authorities = open_authorities(part, parts.clock, parts.stop)
    witnesses = open_witnesses(part, parts.clock, parts.stop)
    asking: list[Job] = [AuthorityJob(parts, each, is_first=each is authorities[0]) for each in authorities]
    asking += [WitnessJob(parts, each) for each in witnesses]
    # Anchors of those who are not configured any more are published all the same.
    return [*([RoundsJob(parts), *asking] if asking else []), AnchorCopiesJob(parts, store)]


def open_store(part: StorePart | DirectoryStorePart) -> Store:
    """Give the central store that the configuration names; nothing is asked of it yet."""
    if isinstance(part, DirectoryStorePart):
        return DirectoryStore(DirectorySettings(id=StoreId(part.id), folder=part.folder))
    credentials = read_toml(part.credentials, Credentials)
    settings = S3Settings(
        id=StoreId(part.id),
        endpoint=part.endpoint,
        region=part.region,
        bucket=part.bucket,
        access_key=credentials.access_key,
        secret_key=credentials.secret_key,
        ca_bundle=part.ca_bundle,
    )
    return S3Store(settings)


def read_catalogue(folder: Path) -> Catalogue:
    """Read matters and retention rules together; raises ConfigError if they contradict each other."""
    matters = read_toml(folder / "matters.toml", Matters)
    retention = read_toml(folder / "retention.toml", Retention)
    try:
        return catalogue(matters, retention)
    except ValueError as error:
        raise ConfigError(
            f"{folder / 'matters.toml'} and retention.toml do not fit together: {error}",
            hint="Nothing was changed. Correct the files and try again.",
        ) from error


def policy_digest(folder: Path) -> Sha256:
    """Give the digest that classifications cite: of the JCS object of both files' digests."""
    files = {name: sha256_hex((folder / name).read_bytes()) for name in ("matters.toml", "retention.toml")}
    return sha256_hex(canonical.encode(files))


def check_configuration(folder: Path) -> StationConfig:
    """Read every configuration file as the daemon would; raises ConfigError."""
    config = read_station(folder)
    _check_digests(config)
    _check_folders(config)
    _check_bays(config)
    read_catalogue(folder)
    profiles = load_profiles(folder / "recorders")
    load_register(folder / "register.toml", profiles)
    if isinstance(config.store, StorePart):
        read_toml(config.store.credentials, Credentials)
    if config.supervision is not None:
        tls_context(broker_settings(config.supervision))
    check_anchors(config.anchors, SystemClock())
    return config
