"""The mounter and the source `udev` on a real kernel: what is mounted how and for whom, and what ends it."""

import hashlib
import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from edged.clock import SystemClock
from hwsim.kernel import bays, udevd
from hwsim.kernel.images import make_image, opened, partitioned
from hwsim.kernel.loops import Loop
from hwsim.kernel.records import DEVICES, claim, forget
from hwsim.kernel.usb import Plugged
from tests.kernel.machine import DAEMON_USER, FUSE_USER, USB, Listener, Mounter, plug, port, until, user

CLIP = os.urandom(3_000_000)
PATH = "VIDEO/20260105/080000_00001.MP4"
FILES = {PATH: CLIP, "DEVICE.INI": b"serial=SC20451\n"}
SHA256 = hashlib.sha256(CLIP).hexdigest()
CLOCK = SystemClock()

Card = Callable[..., Path]


def options_of(folder: Path) -> tuple[str, set[str]]:
    """Give the type and the options with which something is mounted at a folder."""
    for line in Path("/proc/self/mounts").read_text("utf-8").splitlines():
        _, where, kind, options, *_ = line.split(" ")
        if where == str(folder):
            return kind, set(options.split(","))
    raise AssertionError(f"nothing is mounted at {folder}")


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def has_driver(filesystem: str) -> bool:
    return any(line.split()[-1] == filesystem for line in Path("/proc/filesystems").read_text("ascii").splitlines())


# --------------------------------------------------------------------------------------------- how it is mounted


def test_card_is_mounted_read_only_for_the_daemon_within_half_a_second(mounter: Mounter, card: Card) -> None:
    image = card(FILES, label="SC20451")
    before = digest(image)
    with Listener(mounter) as listener:
        uid, *rights = listener.wait("start")["rights"]
        assert uid == str(user(DAEMON_USER).pw_uid)
        assert set(rights[:3]) == {"0" * 16}, "the listener has capabilities"
        times = []
        for nth in range(1, 4):
            plugged_at = CLOCK.monotonic()
            docked = plug(image, "bay-11")
            arrival = listener.wait("arrival", "bay-11", nth)
            times.append(arrival["at"] - plugged_at)
            if nth < 3:
                assert bays.yank(docked.device)
                listener.wait("departure", "bay-11", nth)
        print(f"from plug to announced: {', '.join(f'{each:.3f} s' for each in times)}")  # noqa: T201
        assert (arrival["hint"], arrival["type"], arrival["label"]) == ("SC20451", "exfat", "SC20451")
        assert listener.ask("read", "bay-11", PATH)["answer"] == SHA256
        kind, options = options_of(Path(arrival["folder"]))
        assert kind in {"exfat", "fuseblk"}
        assert {"ro", "nosuid", "nodev", "noexec", "nosymfollow"} <= options
        assert listener.ask("write", "bay-11", "x")["error"] == ["OSError", "Read-only file system"]
        assert listener.ask("run", "bay-11", PATH)["answer"] != 0
        assert bays.yank(docked.device)
        listener.wait("departure", "bay-11", 3)
    assert digest(image) == before, "reading a card changed it"
    # The machine that runs this may be busy with other things.
    assert min(times) < 0.5


@pytest.mark.skipif(has_driver("exfat"), reason="the kernel has a driver for exFAT of its own")
def test_exfat_fuse_runs_as_a_user_of_its_own_without_any_right_or_network(mounter: Mounter, card: Card) -> None:
    with Listener(mounter) as listener:
        plug(card(FILES), "bay-11")
        listener.wait("arrival", "bay-11")
        servers = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if b"mount.exfat-fuse" in (folder / "cmdline").read_bytes().split(b"\0")[0]:
                    servers.append(folder)
            except OSError:
                continue
        assert len(servers) == 1
        status = dict(line.split(":\t", 1) for line in (servers[0] / "status").read_text("utf-8").splitlines())
        assert status["Uid"].split() == [str(user(FUSE_USER).pw_uid)] * 4
        assert {status[key] for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
        routes = (servers[0] / "net" / "dev").read_text("ascii").splitlines()[2:]
        assert [line.split(":")[0].strip() for line in routes] == ["lo"]
        seen = sorted(path.name for path in (servers[0] / "root").iterdir())
        assert seen == ["bin", "dev", "etc", "lib", "lib64", "proc", "sbin", "usr"]


def test_device_itself_refuses_writes_while_the_card_is_mounted_read_only(mounter: Mounter, card: Card) -> None:
    with Listener(mounter) as listener:
        docked = plug(card(FILES), "bay-11")
        listener.wait("arrival", "bay-11")
        assert (Path("/sys/block") / docked.device / "ro").read_text("ascii") == "1\n"
        device = os.open(f"/dev/{docked.device}", os.O_RDWR)
        try:
            with pytest.raises(PermissionError):
                os.write(device, b"x" * 4096)
        finally:
            os.close(device)


def test_ext4_card_of_another_user_is_read_and_emptied_by_the_daemon(mounter: Mounter, folder: Path) -> None:
    source, image = folder / "files", folder / "card.img"
    (source / "VIDEO").mkdir(parents=True, mode=0o700)
    (source / "VIDEO" / "a.mp4").write_bytes(CLIP)
    (source / "VIDEO" / "a.mp4").chmod(0o600)
    make_image(source, image, kind="ext4", label="CAM-07")
    with Listener(mounter) as listener:
        docked = plug(image, "bay-11")
        assert listener.wait("arrival", "bay-11")["type"] == "ext4"
        assert listener.ask("read", "bay-11", "VIDEO/a.mp4")["answer"] == SHA256
        assert listener.ask("erase", "bay-11", f"VIDEO/a.mp4 {SHA256}")["answer"] == "gone"
        assert bays.yank(docked.device)
    found = subprocess.run(["debugfs", "-R", "ls -p /VIDEO", str(image)], check=True, capture_output=True, text=True)
    assert "a.mp4" not in found.stdout
    assert subprocess.run(["e2fsck", "-f", "-n", str(image)], check=False, capture_output=True).returncode == 0


@pytest.mark.skipif(not has_driver("vfat"), reason="this kernel has no driver for FAT")
def test_fat_card_is_read_and_emptied(mounter: Mounter, card: Card) -> None:
    with Listener(mounter) as listener:
        docked = plug(card(FILES, kind="vfat"), "bay-11")
        assert listener.wait("arrival", "bay-11")["type"] == "vfat"
        assert listener.ask("erase", "bay-11", f"{PATH} {SHA256}")["answer"] == "gone"
        assert bays.yank(docked.device)


# ------------------------------------------------------------------------------------------------------- the wipe


def test_wipe_is_on_the_card_when_it_is_told_and_the_card_read_only_again(mounter: Mounter, card: Card) -> None:
    image = card(FILES)
    with Listener(mounter) as listener:
        docked = plug(image, "bay-11")
        folder = Path(listener.wait("arrival", "bay-11")["folder"])
        assert listener.ask("erase", "bay-11", f"{PATH} {SHA256}")["answer"] == "gone"
        assert "ro" in options_of(folder)[1]
        assert listener.ask("write", "bay-11", "x")["error"] == ["OSError", "Read-only file system"]
        # Pulled without any further ado: nothing may be in memory only.
        bays.pull(docked.device)
        listener.wait("departure", "bay-11")
        until(lambda: not mounter.mounted(), "nothing is mounted")
        assert bays.yank(docked.device) if (DEVICES / docked.device).exists() else True
    assert image.read_bytes()[106] & 0x2 == 0, "the card was left marked as not closed in order"
    with opened(image) as root:
        assert sorted(path.name for path in root.rglob("*") if path.is_file()) == ["DEVICE.INI"]


def test_second_reading_comes_from_the_medium_and_not_from_what_the_kernel_remembers(
    mounter: Mounter, card: Card
) -> None:
    image = card(FILES)
    with Listener(mounter) as listener:
        plug(image, "bay-11")
        listener.wait("arrival", "bay-11")
        assert listener.ask("read", "bay-11", PATH)["answer"] == SHA256
        # The medium gives other bytes from now on: what a loop device reads is its image.
        at = image.read_bytes().index(CLIP[:512])
        with image.open("r+b") as medium:
            medium.seek(at)
            medium.write(bytes([CLIP[0] ^ 1]))
        assert listener.ask("forget", "bay-11")["error"] is None
        rotten = hashlib.sha256(bytes([CLIP[0] ^ 1]) + CLIP[1:]).hexdigest()
        assert listener.ask("read", "bay-11", PATH)["answer"] == rotten


def test_wipe_of_one_bay_leaves_the_others_read_only(mounter: Mounter, card: Card) -> None:
    with Listener(mounter) as listener:
        for bay in ("bay-11", "bay-12"):
            plug(card(FILES, name=bay), bay)
            listener.wait("arrival", bay)
        assert listener.ask("keep-writable", "bay-11")["error"] is None
        assert listener.ask("write", "bay-11", "x")["error"] is None
        assert listener.ask("write", "bay-12", "x")["error"] == ["OSError", "Read-only file system"]


def test_namespace_that_holds_a_copy_of_the_mount_delays_neither_wipe_nor_departure(
    mounter: Mounter, card: Card
) -> None:
    image = card(FILES)
    with Listener(mounter) as listener:
        docked = plug(image, "bay-11")
        listener.wait("arrival", "bay-11")
        # As a service of the machine that is started while a card is mounted, or a sandbox for ffmpeg.
        with subprocess.Popen(
            ["unshare", "--mount", "--propagation", "slave", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as other:
            assert other.stdin is not None
            assert other.stdout is not None
            other.stdin.write(b"x\n")
            other.stdin.flush()
            assert other.stdout.read(1) == b"x"
            assert listener.ask("erase", "bay-11", f"{PATH} {SHA256}")["answer"] == "gone"
            assert image.read_bytes()[106] & 0x2 == 0, "it is not written back"
            assert bays.yank(docked.device), "somebody still has the device open"


def test_exfat_card_that_was_not_closed_in_order_is_read_and_never_written(mounter: Mounter, card: Card) -> None:
    image = card(FILES)
    with image.open("r+b") as file:
        file.seek(106)
        file.write(b"\x02")
    before = digest(image)
    with Listener(mounter) as listener:
        docked = plug(image, "bay-11")
        listener.wait("arrival", "bay-11")
        assert listener.ask("read", "bay-11", PATH)["answer"] == SHA256
        kind, message = listener.ask("erase", "bay-11", f"{PATH} {SHA256}")["error"]
        assert kind == "RefusedRecorderError"
        assert "not closed in order" in message
        assert listener.ask("read", "bay-11", PATH)["answer"] == SHA256
        assert bays.yank(docked.device)
    assert digest(image) == before, "the mark was taken away, or something else was written"


def test_ext4_card_that_needs_recovery_is_read_without_replaying_its_journal(mounter: Mounter, folder: Path) -> None:
    image, pulled, mounted = folder / "card.img", folder / "pulled.img", folder / "recorder"
    (folder / "empty").mkdir()
    make_image(folder / "empty", image, kind="ext4")
    mounted.mkdir()
    # What a recorder leaves whose battery ended: an image taken while it is being written to.
    subprocess.run(["mount", "-o", "loop", str(image), str(mounted)], check=True)
    try:
        (mounted / "a.mp4").write_bytes(CLIP)
        subprocess.run(["sync", "-f", str(mounted)], check=True)
        shutil.copyfile(image, pulled)
    finally:
        subprocess.run(["umount", str(mounted)], check=True)
    before = digest(pulled)
    assert int.from_bytes(pulled.read_bytes()[1024 + 96 : 1024 + 100], "little") & 4, "it needs no recovery"
    with Listener(mounter) as listener:
        docked = plug(pulled, "bay-11")
        listener.wait("arrival", "bay-11")
        assert listener.ask("list", "bay-11")["error"] is None
        kind, message = listener.ask("erase", "bay-11", f"a.mp4 {SHA256}")["error"]
        assert (kind, "not closed in order" in message) == ("RefusedRecorderError", True)
        assert bays.yank(docked.device)
    assert digest(pulled) == before


# --------------------------------------------------------------------------------------------------- what is refused


def test_damaged_card_is_refused_with_the_reason_and_nothing_is_left_mounted(mounter: Mounter, card: Card) -> None:
    image = card(FILES)
    with image.open("r+b") as file:
        file.seek(512 * 3)
        file.write(os.urandom(512))
    before = digest(image)
    with Listener(mounter) as listener:
        plug(image, "bay-11")
        refusal = listener.wait("refusal", "bay-11")
        assert (
            "exfat-fuse cannot mount the card: ERROR: invalid VBR checksum" in refusal["why"]
            or "damaged" in refusal["why"]
        )
        assert not refusal["passing"]
        assert mounter.mounted() == []
    assert digest(image) == before


def test_card_with_a_file_system_that_no_recorder_has_is_refused(mounter: Mounter, folder: Path) -> None:
    image = folder / "card.img"
    image.touch()
    os.truncate(image, 64 << 20)
    subprocess.run(["mkswap", str(image)], check=True, capture_output=True)
    with Listener(mounter) as listener:
        plug(image, "bay-11")
        assert "file system is swap" in listener.wait("refusal", "bay-11")["why"]


def test_unformatted_card_is_refused_after_a_moment(mounter: Mounter, folder: Path) -> None:
    image = folder / "card.img"
    image.touch()
    os.truncate(image, 8 << 20)
    with Listener(mounter) as listener:
        plug(image, "bay-11")
        assert "holds no file system" in listener.wait("refusal", "bay-11")["why"]


def test_unregistered_stick_is_not_mounted_told_once_and_blocks_no_bay(mounter: Mounter, card: Card) -> None:
    stick = card({"a.txt": b"a"}, name="stick")
    with Listener(mounter) as listener:
        plugged = plug(stick, "bay-11", usb="0781:5567", serial="4C530001")
        refusal = listener.wait("refusal", "bay-11")
        assert 'enter "0781:5567" under usb' in refusal["hint"]
        plug(card(FILES), "bay-12")
        listener.wait("arrival", "bay-12")
        for nth in range(1, 4):
            assert bays.yank(plugged.device)
            listener.wait("withdrawal", "bay-11", nth)
            plugged = plug(stick, "bay-11", usb="0781:5567", serial="4C530001")
            listener.wait("refusal", "bay-11", nth + 1)
        assert [told["again"] for told in listener.of("refusal", "bay-11")] == [False, True, True, True]
        assert len(mounter.mounted()) == 1
        # A recorder in the bay afterwards is taken in.
        assert bays.yank(plugged.device)
        plug(card(FILES, name="other"), "bay-11")
        listener.wait("arrival", "bay-11")


def test_storage_at_a_port_that_is_no_bay_is_not_mounted(mounter: Mounter, card: Card) -> None:
    with Listener(mounter) as listener:
        bays.dock(card(FILES), Plugged(port="pci-0000:00:14.0-usb-0:9", usb=USB, serial="X"))
        refusal = listener.wait("refusal")
        assert (refusal["bay"], "pci-0000:00:14.0-usb-0:9, which is no bay" in refusal["why"]) == (None, True)
        assert mounter.mounted() == []


def test_card_that_an_automounter_mounted_is_refused_with_a_sentence(mounter: Mounter, folder: Path) -> None:
    (folder / "files").mkdir()
    (folder / "media").mkdir()
    make_image(folder / "files", folder / "card.img", kind="ext4")
    docked = plug(folder / "card.img", "bay-11")
    udevd.settle()
    subprocess.run(["mount", f"/dev/{docked.device}", str(folder / "media")], check=True)
    try:
        with Listener(mounter) as listener:
            refusal = listener.wait("refusal", "bay-11")
            assert f"mounted already, at {folder / 'media'}" in refusal["why"]
            assert "automounter" in refusal["hint"]
    finally:
        subprocess.run(["umount", str(folder / "media")], check=True)


# ---------------------------------------------------------------------------------------------- coming and going


def test_recorders_that_are_there_at_the_start_are_told(mounter: Mounter, card: Card) -> None:
    for bay in ("bay-11", "bay-12"):
        plug(card(FILES, name=bay), bay)
    udevd.settle()
    with Listener(mounter) as listener:
        for bay in ("bay-11", "bay-12"):
            listener.wait("arrival", bay)


def test_two_partitions_of_one_disk_are_two_cards(mounter: Mounter, card: Card, folder: Path) -> None:
    first, second = card(FILES, name="one"), card({"LOG.TXT": b"log"}, name="two")
    places = partitioned((first, second), folder / "disk.img")
    with Listener(mounter) as listener:
        disk = bays.dock(folder / "disk.img", Plugged(port=port("bay-11"), usb=USB, serial="S"), places)
        listener.wait("arrival", "bay-11")
        listener.wait("arrival", "bay-11.p2")
        assert listener.ask("read", "bay-11", PATH)["answer"] == SHA256
        assert listener.ask("list", "bay-11.p2")["answer"] == [["LOG.TXT", "file"]]
        assert listener.ask("erase", "bay-11", f"{PATH} {SHA256}")["answer"] == "gone"
        bays.pull(disk.device)
        listener.wait("departure", "bay-11")
        listener.wait("departure", "bay-11.p2")
        assert listener.of("refusal") == []


def test_two_units_of_one_recorder_and_two_recorders_with_one_serial_number(mounter: Mounter, card: Card) -> None:
    with Listener(mounter) as listener:
        plug(card(FILES, name="a"), "bay-11")
        plug(card(FILES, name="b"), "bay-11", lun=1)
        plug(card(FILES, name="c"), "bay-12")
        folders = {listener.wait("arrival", bay)["folder"] for bay in ("bay-11", "bay-11.lun1", "bay-12")}
        assert len(folders) == 3


def test_card_reader_is_silent_without_a_card_and_told_with_one(mounter: Mounter, card: Card) -> None:
    values = Plugged(port=port("bay-11"), usb=USB, serial="READER").properties()
    values |= {"HWSIM_IMAGE": "/none", "HWSIM_PORT": port("bay-11")}
    with Listener(mounter) as listener:
        slot = claim(DEVICES, "".join(f"{key}={value}\n" for key, value in values.items()))
        udevd.settle()
        threading.Event().wait(2.5)
        assert listener.told[1:] == []
        slot.attach(card(FILES))
        listener.wait("arrival", "bay-11")
        # The card is taken out of its slot: the reader stays, its disk does not.
        subprocess.run(["losetup", "-d", f"/dev/{slot.name}"], check=True)
        Loop(slot.name).vanish()
        listener.wait("departure", "bay-11")
        until(lambda: forget(slot), "the slot is removed")


def test_yank_under_load_is_told_at_once_and_leaves_nothing_mounted(mounter: Mounter, card: Card) -> None:
    image = card({PATH: os.urandom(20_000_000)})
    with Listener(mounter) as listener:
        for nth in range(1, 4):
            docked = plug(image, "bay-11")
            folder = Path(listener.wait("arrival", "bay-11", nth)["folder"])
            assert listener.ask("hold", "bay-11", PATH)["error"] is None
            listener.send("read-on", "bay-11", PATH)
            threading.Event().wait(0.1)
            pulled_at = CLOCK.monotonic()
            bays.pull(docked.device)
            departure = listener.wait("departure", "bay-11", nth)
            assert departure["at"] - pulled_at < 0.5
            kind, message = listener.answer()["error"]
            assert (kind, message) == ("OSError", "Input/output error") or kind == "RecorderGoneError"
            until(lambda folder=folder: folder not in mounter.mounted(), "it is unmounted")  # type: ignore[misc]
            assert listener.of("refusal") == []


def test_flapping_plug_ends_in_the_state_that_it_ends_in(mounter: Mounter, card: Card) -> None:
    image = card(FILES)
    with Listener(mounter) as listener:
        for pause in (0.0, 0.01, 0.03, 0.06, 0.1, 0.15, 0.2, 0.0, 0.0):
            docked = plug(image, "bay-11")
            threading.Event().wait(pause)
            bays.pull(docked.device)
        plug(image, "bay-11")
        until(lambda: len(listener.of("arrival")) == len(listener.of("departure")) + 1, "it is docked")
        until(lambda: len(mounter.mounted()) == 1, "only the last is mounted")
        assert listener.ask("read", "bay-11", PATH)["answer"] == SHA256
        kinds = [told["told"] for told in listener.told if told["told"] in {"arrival", "departure"}]
        assert kinds == ["arrival", "departure"] * (len(kinds) // 2) + ["arrival"]


def test_eight_recorders_at_once(mounter: Mounter, card: Card, folder: Path) -> None:
    first = card(FILES)
    names = [f"bay-{hub}{number}" for hub in (1, 2) for number in (1, 2, 3, 4)]
    images = []
    for name in names:
        images.append(folder / f"{name}.img")
        shutil.copyfile(first, images[-1])
    with Listener(mounter) as listener:
        plugged_at = CLOCK.monotonic()
        devices = [plug(image, name).device for image, name in zip(images, names, strict=True)]
        last = max(listener.wait("arrival", name)["at"] for name in names)
        print(f"eight recorders plugged in one after the other: the last announced after {last - plugged_at:.3f} s")  # noqa: T201
        for name in names:
            assert listener.ask("read", name, PATH)["answer"] == SHA256
        for device in devices:
            bays.pull(device)
        for name in names:
            listener.wait("departure", name)
        until(lambda: not mounter.mounted(), "nothing is mounted")


# ------------------------------------------------------------------------------------------------- whoever crashes


def test_killed_daemon_leaves_nothing_mounted_also_in_the_middle_of_a_wipe(mounter: Mounter, card: Card) -> None:
    with Listener(mounter) as listener:
        for bay in ("bay-11", "bay-12"):
            plug(card(FILES, name=bay), bay)
            listener.wait("arrival", bay)
        assert listener.ask("keep-writable", "bay-12")["error"] is None
        listener.kill()
        until(lambda: not mounter.mounted(), "nothing is mounted")
    with Listener(mounter) as listener:
        for bay in ("bay-11", "bay-12"):
            listener.wait("arrival", bay)
            assert listener.ask("erase", bay, f"{PATH} {SHA256}")["answer"] == "gone"


def test_killed_mounter_is_cleaned_up_after_and_its_cards_are_told_anew(mounter: Mounter, card: Card) -> None:
    with Listener(mounter) as listener:
        plug(card(FILES), "bay-11")
        listener.wait("arrival", "bay-11")
        mounter.kill()
        assert len(mounter.mounted()) == 1
        mounter.start()
        listener.wait("departure", "bay-11")
        listener.wait("arrival", "bay-11", 2)
        assert len(mounter.mounted()) == 1
        assert listener.ask("read", "bay-11", PATH)["answer"] == SHA256


def test_mounter_that_is_told_to_stop_unmounts_all_and_a_missing_one_is_waited_for(
    mounter: Mounter, card: Card
) -> None:
    with Listener(mounter) as listener:
        plug(card(FILES), "bay-11")
        listener.wait("arrival", "bay-11")
        assert mounter.stop() == 0
        assert mounter.mounted() == []
        listener.wait("departure", "bay-11")
        refusal = listener.wait("refusal", "bay-11")
        assert (refusal["passing"], "mounter does not answer" in refusal["why"]) == (True, True)
        mounter.start()
        listener.wait("arrival", "bay-11", 2)
        listener.wait("withdrawal", "bay-11")
