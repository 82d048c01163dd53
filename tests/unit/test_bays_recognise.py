"""A card is one registered recorder's, or it is refused with what was found and what to do."""

import threading
from pathlib import Path

import pytest

from edged.bays.inventory import Filesystem, take_inventory
from edged.bays.profiles import load_profiles
from edged.bays.recognise import Recognised, recognise
from edged.bays.register import Register, RegisteredOfficer, RegisteredRecorder
from edged.bays.safe_files import Root
from edged.bays.source import Docked
from edged.errors import RefusedRecorderError
from edged.evidence.ids import BayId, OfficerId, RecorderId

PROFILES = load_profiles(Path(__file__).parents[2] / "config" / "recorders")
REGISTER = Register(
    recorders=(
        RegisteredRecorder(id=RecorderId("cam-1"), profile="gat947", serial="A1B2C3D", officer=OfficerId("100999")),
        RegisteredRecorder(
            id=RecorderId("cam-2"), profile="dcim", serial="DCAM-2", vendor="Maker", officer=OfficerId("100999")
        ),
        RegisteredRecorder(id=RecorderId("cam-3"), profile="sidecar", serial="SC-3"),
        RegisteredRecorder(id=RecorderId("twin-1"), profile="dcim", serial="TWIN"),
        RegisteredRecorder(id=RecorderId("twin-2"), profile="sidecar", serial="TWIN"),
    ),
    officers=(RegisteredOfficer(id=OfficerId("100999")),),
)

GAT_1 = "20261121/A1B2C3D_100234_20261121080000_0001.MP4"
GAT_2 = "20261121/A1B2C3D_100234_20261121081500_0002_IMP.MP4"
GAT_OTHER_OFFICER = "20261121/A1B2C3D_100777_20261121081500_0003.MP4"
GAT_OTHER_DEVICE = "20261121/Z9Z9Z9Z_100234_20261121081500_0002.MP4"
DCIM = "DCIM/100MEDIA/VID_20261121_080000_0001.MP4"
VIDEO = "VIDEO/20261121/080000_00001.MP4"
INI = b"\xef\xbb\xbf[device]\r\nserial=SC-3\r\nofficer=100555\r\nzone=Asia/Urumqi\r\n"


@pytest.fixture
def card(tmp_path: Path) -> Path:
    return tmp_path / "card"


def docked(card: Path, *paths: str, hint: str = "bay-1", label: str | None = None, ini: bytes | None = None) -> Docked:
    card.mkdir()
    for path in paths:
        (card / path).parent.mkdir(parents=True, exist_ok=True)
        (card / path).touch()
    if ini is not None:
        (card / "DEVICE.INI").write_bytes(ini)
    filesystem = Filesystem(type="directory", label=label, serial=None)
    return Docked(bay=BayId("bay-1"), root=Root.at(card), hint=hint, filesystem=filesystem)


def recognised(card: Docked) -> Recognised:
    return recognise(card, take_inventory(card.root, threading.Event()).items, PROFILES, REGISTER)


def refusal(card: Docked) -> str:
    with pytest.raises(RefusedRecorderError) as caught:
        recognised(card)
    assert caught.value.hint
    return caught.value.message


def test_gat947_is_known_by_its_file_names(card: Path) -> None:
    found = recognised(docked(card, GAT_1, GAT_2, "notes.txt"))
    assert (found.recorder.id, found.profile.id) == ("cam-1", "gat947")
    assert found.officer == "100234"
    assert found.zone is None
    assert (found.vendor, found.model) == ("GA/T 947", "body-worn recorder")


def test_names_of_two_officers_name_nobody(card: Path) -> None:
    assert recognised(docked(card, GAT_1, GAT_OTHER_OFFICER)).officer is None


def test_dcim_is_known_by_the_name_of_its_folder(card: Path) -> None:
    found = recognised(docked(card, DCIM, hint="DCAM-2"))
    assert (found.recorder.id, found.officer, found.vendor, found.model) == ("cam-2", "100999", "Maker", "camera")


def test_dcim_is_known_by_the_label_of_its_volume(card: Path) -> None:
    assert recognised(docked(card, DCIM, hint="", label="DCAM-2")).recorder.id == "cam-2"


def test_sidecar_is_known_by_its_id_file(card: Path) -> None:
    found = recognised(docked(card, VIDEO, hint="DCAM-2", ini=INI))
    assert (found.recorder.id, found.officer, found.zone) == ("cam-3", "100555", "Asia/Urumqi")


def test_sidecar_without_its_id_file_is_known_by_its_folder(card: Path) -> None:
    assert recognised(docked(card, VIDEO, hint="SC-3")).recorder.id == "cam-3"


def test_zone_of_an_id_file_that_is_none_counts_as_not_claimed(card: Path) -> None:
    ini = INI.replace(b"Asia/Urumqi", b"../../etc/passwd")
    assert recognised(docked(card, VIDEO, ini=ini)).zone is None


@pytest.mark.parametrize(("hint", "recorder"), [("A1B2C3D", "cam-1"), ("DCAM-2", "cam-2"), ("SC-3", "cam-3")])
def test_wiped_card_is_known_by_the_name_of_its_folder(card: Path, hint: str, recorder: str) -> None:
    wiped = docked(card, hint=hint)
    (card / "20261121").mkdir()
    assert recognised(wiped).recorder.id == recorder


def test_wiped_card_with_only_its_id_file_is_known_by_it(card: Path) -> None:
    assert recognised(docked(card, ini=INI)).recorder.id == "cam-3"


def test_empty_card_with_a_strange_name_is_refused(card: Path) -> None:
    assert "is empty, and its name 'bay-1' is the number of no registered recorder" in refusal(docked(card))


def test_empty_card_whose_number_two_recorders_have_is_refused(card: Path) -> None:
    assert "several registered recorders" in refusal(docked(card, hint="TWIN"))


def test_number_that_two_profiles_share_is_told_apart_by_layout(card: Path) -> None:
    assert recognised(docked(card, DCIM, hint="TWIN")).recorder.id == "twin-1"


def test_card_of_no_known_layout_is_refused_though_its_name_is_registered(card: Path) -> None:
    assert "fits no recorder profile" in refusal(docked(card, "holiday/1.jpg", hint="DCAM-2"))


def test_card_of_two_layouts_is_refused(card: Path) -> None:
    assert "more than one recorder profile: dcim, gat947" in refusal(docked(card, GAT_1, DCIM))


def test_foreign_id_file_on_a_card_makes_it_ambiguous(card: Path) -> None:
    assert "more than one recorder profile: gat947, sidecar" in refusal(docked(card, GAT_1, ini=INI))


def test_files_of_two_devices_on_one_card_are_refused(card: Path) -> None:
    assert "several recorders: 'A1B2C3D', 'Z9Z9Z9Z'" in refusal(docked(card, GAT_1, GAT_OTHER_DEVICE))


def test_unregistered_recorder_is_refused_with_its_number(card: Path) -> None:
    message = refusal(docked(card, GAT_OTHER_DEVICE, hint="A1B2C3D"))
    assert "gat947 with the number 'Z9Z9Z9Z', is not registered" in message


def test_number_registered_under_another_profile_does_not_count(card: Path) -> None:
    assert "is not registered" in refusal(docked(card, DCIM, hint="A1B2C3D"))


def test_layout_without_any_identity_is_refused(card: Path) -> None:
    assert "nothing says which recorder it is" in refusal(docked(card, DCIM, hint=""))


@pytest.mark.parametrize(
    "ini", [b"", b"serial=\n", b"\xff\xfe" * 1000, b"x" * 70_000 + b"\nserial=SC-3\n", b"serial=SC-3 \x1b[31m\n"]
)
def test_id_file_that_names_nothing_readable_leaves_the_folder_name(card: Path, ini: bytes) -> None:
    assert recognised(docked(card, VIDEO, hint="SC-3", ini=ini)).recorder.id == "cam-3"


def test_id_file_that_is_a_link_is_not_read(card: Path) -> None:
    linked = docked(card, VIDEO)
    outside = card.parent / "DEVICE.INI"
    outside.write_bytes(INI)
    (card / "DEVICE.INI").symlink_to(outside)
    assert "is not registered" in refusal(linked)


def test_id_file_that_became_a_link_after_the_inventory_is_not_read(card: Path) -> None:
    swapped = docked(card, VIDEO, ini=INI)
    items = take_inventory(swapped.root, threading.Event()).items
    outside = card.parent / "DEVICE.INI"
    (card / "DEVICE.INI").rename(outside)
    (card / "DEVICE.INI").symlink_to(outside)
    with pytest.raises(RefusedRecorderError):
        recognise(swapped, items, PROFILES, REGISTER)


def test_hostile_folder_name_is_shown_harmlessly(card: Path) -> None:
    message = refusal(docked(card, hint="\u202e" + "x" * 300))
    assert message.isascii()
    assert len(message) < 200
