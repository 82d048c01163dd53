"""The demo's folder: what lies where, and how it is emptied without ever emptying somebody else's folder."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from edged.errors import StorageError, UsageError

_MARK = ".hwsim-demo"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Where everything of one demo lies."""

    folder: Path

    @property
    def recorders(self) -> Path:
        """The shelf: card folders while they are not docked."""
        return self.folder / "recorders"

    @property
    def originals(self) -> Path:
        """What each card held when it was first docked."""
        return self.folder / "originals"

    @property
    def bays(self) -> Path:
        """The station's intake folder."""
        return self.folder / "bays"

    @property
    def feed(self) -> Path:
        """The folder into which case files are dropped."""
        return self.folder / "cases"

    @property
    def config(self) -> Path:
        """The station's configuration."""
        return self.folder / "config"

    @property
    def state(self) -> Path:
        """The station's state and vault."""
        return self.folder / "station"

    @property
    def store(self) -> Path:
        """The data of the S3 server."""
        return self.folder / "store"

    @property
    def broker(self) -> Path:
        """The data of the MQTT broker."""
        return self.folder / "broker"

    @property
    def authority(self) -> Path:
        """The time-stamping authority's own."""
        return self.folder / "authority"

    @property
    def witnesses(self) -> Path:
        """The witnesses' own."""
        return self.folder / "witnesses"

    @property
    def heard(self) -> Path:
        """All that somebody heard who listened there."""
        return self.folder / "mqtt.log"

    @property
    def logs(self) -> Path:
        """What the programs said."""
        return self.folder / "logs"

    @property
    def trust(self) -> Path:
        """What an investigator gets by another way than the bundle: the station's root certificate."""
        return self.folder / "trust" / "root.pem"

    @property
    def tsa(self) -> Path:
        """Likewise, the root of the time-stamping authority's tokens."""
        return self.folder / "trust" / "tsa.pem"

    @property
    def policy(self) -> Path:
        """Likewise, which witnesses count."""
        return self.folder / "trust" / "policy.txt"

    @property
    def root_key(self) -> Path:
        """The key of that root, which is kept off the station."""
        return self.folder / "trust" / "root-key.pem"

    @property
    def bundle(self) -> Path:
        """The bundle of the case."""
        return self.folder / "bundle"

    @property
    def tampered(self) -> Path:
        """A copy of the bundle in which one byte was changed."""
        return self.folder / "tampered"

    @property
    def summary(self) -> Path:
        """What happened, as numbers."""
        return self.folder / "summary.json"


def prepare(folder: Path) -> Stage:
    """Make `folder` an empty stage.

    An earlier demo in it is removed. Raises UsageError for a folder that holds anything else, StorageError if
    it cannot be written.
    """
    try:
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise UsageError(f"{folder} is no folder", hint="Name a folder for the demo: make demo DIR=folder")
        if folder.exists() and any(folder.iterdir()) and not (folder / _MARK).is_file():
            raise UsageError(
                f"{folder} holds something else than an earlier demo, and the demo empties its folder first",
                hint="Name a new folder: make demo DIR=folder",
            )
        folder.mkdir(parents=True, exist_ok=True)
        # The mark goes last and comes first, so that an interrupted clearing can be taken up.
        (folder / _MARK).touch()
        for old in sorted(folder.iterdir(), key=lambda path: path.name == _MARK):
            _remove(old)
        (folder / _MARK).touch()
        stage = Stage(folder=folder)
        for needed in (stage.recorders, stage.originals, stage.bays, stage.feed, stage.logs, stage.trust.parent):
            needed.mkdir()
    except OSError as error:
        raise StorageError(f"{folder} cannot be used for the demo: {error}") from error
    return stage


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
