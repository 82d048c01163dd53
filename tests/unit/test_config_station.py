"""A wrong configuration is refused in one sentence that names file, key and what is allowed; the shipped one loads."""

import re
import shutil
from pathlib import Path
from string import Template

import pytest
from pydantic import BaseModel

from edged.config import (
    STATION_FILE,
    Credentials,
    StationConfig,
    StorePart,
    read_station,
    read_toml,
)
from edged.errors import ConfigError
from edged.station.assembly import build, check_configuration, read_catalogue
from edged.station.creation import SHIPPED, NewStation, create
from tests.unit.book_station import STATION, Ticking

RIGHT = """
[station]
id = "st-07"
domain = "evidence.example"
zone = "Asia/Shanghai"

[paths]
state = "/var/lib/edged"
vault = "/srv/vault"

[bays]
source = "directory"
folder = "/run/edged/bays"
wipe = "after-clearance"

[cases]
folder = "/var/lib/edged/cases"

[store]
kind = "s3"
id = "central"
endpoint = "https://s3.example.org"
bucket = "evidence"
credentials = "/etc/edged/s3.toml"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / STATION_FILE).write_text(RIGHT)
    return tmp_path


def refused(folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_station(folder)
    assert caught.value.exit_code == 78
    assert caught.value.hint
    message = caught.value.message
    assert str(folder / STATION_FILE) in message
    assert "\n" not in message
    assert message.endswith(".")
    return message


def test_right_file_is_read_with_its_defaults(folder: Path) -> None:
    config = read_station(folder)
    assert (config.station.id, config.paths.reserve_mib) == ("st-07", 1024)
    assert (config.bays.at_once, config.bays.settle_seconds) == (8, 1.0)
    assert config.store is not None
    assert (config.store.lock_horizon_days, config.store.region) == (365, "us-east-1")
    assert config.media.derivatives == ("poster", "proxy")


def test_whole_numbers_do_for_seconds(folder: Path) -> None:
    (folder / STATION_FILE).write_text(RIGHT + "\n[ledger]\npublish_seconds = 5\n")
    assert read_station(folder).ledger.publish_seconds == 5.0


@pytest.mark.parametrize(
    ("right", "wrong", "key"),
    [
        ('id = "st-07"', 'id = "st 07"', "station.id"),
        ('id = "st-07"', 'id = ""', "station.id"),
        ('id = "st-07"', 'id = "st-07\\n"', "station.id"),
        ('id = "st-07"', "id = 7", "station.id"),
        ('domain = "evidence.example"', 'domain = "Evidence.Example"', "station.domain"),
        ('domain = "evidence.example"', 'domain = "a/b"', "station.domain"),
        ('zone = "Asia/Shanghai"', 'zone = "Asia/Nowhere"', "station.zone"),
        ('zone = "Asia/Shanghai"', 'zone = "../../etc/passwd"', "station.zone"),
        ('zone = "Asia/Shanghai"', 'zone = "Asia"', "station.zone"),
        ('zone = "Asia/Shanghai"', 'zone = ""', "station.zone"),
        ('state = "/var/lib/edged"', 'state = "var/lib/edged"', "paths.state"),
        ('state = "/var/lib/edged"', "state = 1", "paths.state"),
        ('vault = "/srv/vault"', 'vault = "/srv/vault"\nreserve_mib = 1', "paths.reserve_mib"),
        ('vault = "/srv/vault"', 'vault = "/srv/vault"\nreserve_mib = "16"', "paths.reserve_mib"),
        ('vault = "/srv/vault"', 'vault = "/srv/vault"\nreserve_mib = true', "paths.reserve_mib"),
        ('vault = "/srv/vault"', 'vault = "/srv/vault"\nreserve_mib = 16.0', "paths.reserve_mib"),
        ('source = "directory"', 'source = "usb"', "bays.source"),
        ('wipe = "after-clearance"', 'wipe = "always"', "bays.wipe"),
        ('wipe = "after-clearance"', 'wipe = "never"\nat_once = 0', "bays.at_once"),
        ('wipe = "after-clearance"', 'wipe = "never"\nat_once = 33', "bays.at_once"),
        ('wipe = "after-clearance"', 'wipe = "never"\nsettle_seconds = 0', "bays.settle_seconds"),
        ('wipe = "after-clearance"', 'wipe = "never"\nsettle_seconds = nan', "bays.settle_seconds"),
        ('wipe = "after-clearance"', 'wipe = "never"\nsettle_seconds = inf', "bays.settle_seconds"),
        ('kind = "s3"', 'kind = "ftp"', "store.kind"),
        ('endpoint = "https://s3.example.org"', 'endpoint = "s3.example.org"', "store.endpoint"),
        ('endpoint = "https://s3.example.org"', 'endpoint = "https://"', "store.endpoint"),
        ('bucket = "evidence"', 'bucket = "Evidence"', "store.bucket"),
        ('bucket = "evidence"', 'bucket = "e"', "store.bucket"),
        ('credentials = "/etc/edged/s3.toml"', 'credentials = "s3.toml"', "store.credentials"),
        ('bucket = "evidence"', 'bucket = "evidence"\nlock_horizon_days = 0', "store.lock_horizon_days"),
        ("[cases]", '[media]\nderivatives = ["film"]\n[cases]', "media.derivatives.0"),
        ("[cases]", '[media]\nderivatives = "poster"\n[cases]', "media.derivatives"),
    ],
)  # fmt: skip
def test_wrong_value_is_refused_with_key_value_and_what_is_allowed(
    folder: Path, right: str, wrong: str, key: str
) -> None:
    assert RIGHT.count(right) == 1
    (folder / STATION_FILE).write_text(RIGHT.replace(right, wrong))
    message = refused(folder)
    assert re.search(rf": {re.escape(key)} is .+; allowed: ", message)


@pytest.mark.parametrize(
    ("right", "key"),
    [
        ('id = "st-07"', "station.id"),
        ('wipe = "after-clearance"', "bays.wipe"),
        ('[cases]\nfolder = "/var/lib/edged/cases"', "cases"),
        ('credentials = "/etc/edged/s3.toml"', "store.credentials"),
    ],
)
def test_missing_key_is_named(folder: Path, right: str, key: str) -> None:
    (folder / STATION_FILE).write_text(RIGHT.replace(right, ""))
    assert f": {key} is missing." in refused(folder)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (RIGHT.replace('wipe = "after', 'wype = "never"\nwipe = "after'), "bays.wype"),
        (f"{RIGHT}\n[wipe]\nall = true\n", "wipe"),
        (f'surprise = "x"\n{RIGHT}', "surprise"),
    ],
)
def test_unknown_key_is_named(folder: Path, text: str, key: str) -> None:
    (folder / STATION_FILE).write_text(text)
    assert f": {key} is not a key that is known here." in refused(folder)


def test_table_in_the_place_of_a_value_is_named_without_showing_it_all(folder: Path) -> None:
    (folder / STATION_FILE).write_text(RIGHT.replace('folder = "/run/edged/bays"', "folder = []"))
    assert ": bays.folder: allowed: " in refused(folder)


def test_every_wrong_key_is_told_at_once(folder: Path) -> None:
    text = RIGHT.replace('id = "st-07"', 'id = "st 07"').replace("[cases]", "[cass]")
    (folder / STATION_FILE).write_text(text)
    message = refused(folder)
    assert all(key in message for key in ("station.id", "cases is missing", "cass is not a key"))


def test_rule_over_several_tables_is_a_sentence_of_its_own(folder: Path) -> None:
    text = RIGHT.partition("[store]")[0].replace('vault = "/srv/vault"', 'vault = "/srv/vault"\nretire_after_days = 90')
    (folder / STATION_FILE).write_text(text)
    said = f"{folder / STATION_FILE}: paths.retire_after_days needs [store]: there would be no copy left."
    assert refused(folder) == said


def test_wipe_of_a_wrong_type_is_told_what_is_allowed(folder: Path) -> None:
    (folder / STATION_FILE).write_text(RIGHT.replace('wipe = "after-clearance"', "wipe = 7"))
    allowed = '"after-clearance", "after N days" (1 to 365), or "never"'
    assert refused(folder).endswith(f": bays.wipe is 7; allowed: {allowed}.")


@pytest.mark.parametrize("text", ["[station", "id = ", 'a = "1"\na = "2"', "\x00"])
def test_what_is_not_toml_is_refused_with_the_place(folder: Path, text: str) -> None:
    (folder / STATION_FILE).write_text(text)
    assert re.search(r"not TOML: .+ \(at .+\)\.$", refused(folder))


def test_what_is_not_text_is_refused(folder: Path) -> None:
    (folder / STATION_FILE).write_bytes(RIGHT.encode("utf-16"))
    with pytest.raises(ConfigError, match="it is not UTF-8 text"):
        read_station(folder)


def test_file_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist") as caught:
        read_station(tmp_path)
    assert "edged init" in caught.value.hint


def test_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / STATION_FILE).mkdir()
    with pytest.raises(ConfigError, match="Is a directory"):
        read_station(tmp_path)


def test_credentials_are_two_texts(tmp_path: Path) -> None:
    path = tmp_path / "s3.toml"
    path.write_text('access_key = "a"\nsecret_key = "s"\n')
    assert read_toml(path, Credentials) == Credentials(access_key="a", secret_key="s")  # noqa: S106
    path.write_text('access_key = "a"\nsecret_kay = "very secret"\n')
    with pytest.raises(ConfigError, match=r"secret_key is missing; secret_kay is not a key") as caught:
        read_toml(path, Credentials)
    assert "very secret" not in str(caught.value)


# --------------------------------------------------------------------------------------------- what is shipped


def made(tmp_path: Path) -> Path:
    config = tmp_path / "etc"
    create(
        NewStation(
            station=STATION,
            domain="evidence.example",
            zone="Asia/Shanghai",
            config=config,
            state=tmp_path / "state",
            root_key=tmp_path / "root.key",
        ),
        Ticking(),
    )
    return config


def test_configuration_that_init_writes_is_right(tmp_path: Path) -> None:
    config = check_configuration(made(tmp_path))
    assert (config.station.id, config.store) == (STATION, None)
    assert config.paths.state == tmp_path / "state"
    assert config.bays.wipe == "after-clearance"


@pytest.mark.parametrize("wrong", ["bays missing", "bays a file", "vault a file"])
def test_what_is_no_folder_is_refused_by_check_and_run(tmp_path: Path, wrong: str) -> None:
    config = made(tmp_path)
    name, _, how = wrong.partition(" ")
    place = tmp_path / "state" / name
    shutil.rmtree(place)
    if how == "a file":
        place.write_bytes(b"")
    key = {"bays": "bays.folder", "vault": "paths.vault"}[name]
    for refuse in (check_configuration, lambda folder: build(folder, Ticking())):
        with pytest.raises(ConfigError) as caught:
            refuse(config)
        assert caught.value.exit_code == 78
        assert caught.value.message == f"{STATION_FILE}: {key} is '{place}', which is no folder."
        assert caught.value.hint == "Nothing was changed. Correct the file and try again."


def test_vault_that_is_not_there_yet_is_right(tmp_path: Path) -> None:
    config = made(tmp_path)
    shutil.rmtree(tmp_path / "state" / "vault")
    assert check_configuration(config).paths.vault == tmp_path / "state" / "vault"


def test_bay_with_the_name_of_what_is_handed_in_is_refused(tmp_path: Path) -> None:
    config = made(tmp_path)
    file = config / STATION_FILE
    port = '[bays.ports]\n"pci-0000:00:14.0-usb-0:1" = "intake-1"'
    file.write_text(file.read_text("utf-8").replace("[bays.ports]", port), "utf-8")
    for refuse in (check_configuration, lambda folder: build(folder, Ticking())):
        with pytest.raises(ConfigError, match=r"calls the bay at \S+ 'intake-1'") as caught:
            refuse(config)
        assert "does not begin with intake-" in str(caught.value.hint)


def test_shipped_matters_and_retention_rules_fit_together() -> None:
    assert read_catalogue(SHIPPED)


def test_retention_rule_that_matters_name_cannot_be_taken_away(tmp_path: Path) -> None:
    config = made(tmp_path)
    text = (config / "retention.toml").read_text("utf-8")
    (config / "retention.toml").write_text(text.replace('id = "case-file"', 'id = "case-life"'), "utf-8")
    with pytest.raises(ConfigError, match="case-file") as caught:
        check_configuration(config)
    assert "do not fit together" in caught.value.message


def test_store_of_the_comments_is_right_once_it_is_uncommented(tmp_path: Path) -> None:
    config = made(tmp_path)
    before, mark, rest = (config / STATION_FILE).read_text("utf-8").partition("#[store]\n")
    lines = [line.removeprefix("#") for line in (mark + rest).split("\n\n")[0].splitlines()]
    (config / STATION_FILE).write_text("\n".join([before, *lines]), "utf-8")
    store = read_station(config).store
    assert store is not None
    assert store.endpoint == "https://s3.example.org"
    shown = {line.partition(" = ")[0].lstrip("#") for line in lines}
    assert set(StorePart.model_fields) <= shown


def test_every_key_is_explained_in_the_shipped_file() -> None:
    text = (SHIPPED / STATION_FILE).read_text("utf-8")

    for name, field in StationConfig.model_fields.items():
        assert re.search(rf"^#?\[{name}\]$", text, re.MULTILINE), name
        part = field.annotation
        for model in (part, *getattr(part, "__args__", ())):
            if isinstance(model, type) and issubclass(model, BaseModel):
                for key in model.model_fields:
                    shown = rf"^(#*{key} = |#?\[+{name}\.{key}\]+$)"
                    assert re.search(shown, text, re.MULTILINE), f"{name}.{key}"


def test_shipped_template_has_no_place_that_nobody_fills() -> None:
    names = set(Template((SHIPPED / STATION_FILE).read_text("utf-8")).get_identifiers())
    assert names == {"station", "domain", "zone", "state", "vault", "bays", "cases"}
