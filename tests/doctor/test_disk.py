"""Storages that are full, cannot be written, or lie on a file system that is no good for it."""

import os

import pytest

from handssl.doctor import Settings, diagnose
from tests.doctor.faulty_calls import found_on_small_disk

CHECKS = ("storage", "space", "file system", "write speed")


def findings(settings, *names):
    return {finding.name: finding for finding in diagnose(settings, checks=names)}


def test_a_storage_that_is_not_there_is_checked_without_making_it(tmp_path):
    storage = tmp_path / "deep" / "runs"
    found = findings(Settings(storage, ""), "storage", "write speed")
    assert found["storage"].verdict == "ok"
    assert "does not exist yet" in found["storage"].detail
    assert "/s for 64 MiB synced to disk" in found["write speed"].detail
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_fails_with_a_fix(tmp_path):
    fill = f"head -c 900K /dev/zero > '{tmp_path}/full/rest'"
    found = found_on_small_disk(tmp_path / "full", {}, CHECKS, mount="size=1m", prepare=fill)
    by_name = {finding["name"]: finding for finding in found}
    assert by_name["space"]["verdict"] == "failed"
    assert "a study of 40 trials" in by_name["space"]["detail"]
    assert by_name["write speed"]["detail"] == "64 MiB: No space left on device"
    assert by_name["file system"]["verdict"] == "warning"
    assert "lost at the next restart" in by_name["file system"]["detail"]
    assert all(finding["fix"] for finding in found if finding["verdict"] != "ok")


def test_a_disk_without_room_for_more_files_fails(tmp_path):
    (found,) = found_on_small_disk(tmp_path / "few", {}, ["space"], mount="nr_inodes=100")
    assert found["verdict"] == "failed"
    assert "more files can be created" in found["detail"]


def test_a_folder_that_cannot_be_written_fails_with_a_fix(tmp_path):
    (found,) = found_on_small_disk(tmp_path / "fixed", {}, ["storage"], mount="ro,size=1m")
    assert found["verdict"] == "failed"
    assert "cannot be written: Read-only file system" in found["detail"]
    assert "--storage" in found["fix"]


def test_a_file_in_the_place_of_the_storage_fails(tmp_path):
    (tmp_path / "runs").touch()
    found = findings(Settings(tmp_path / "runs", ""), "storage")["storage"]
    assert found.verdict == "failed"
    assert "Not a directory" in found.detail


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write_fails(tmp_path):
    tmp_path.chmod(0o500)
    found = findings(Settings(tmp_path, ""), "storage")["storage"]
    tmp_path.chmod(0o700)
    assert found.verdict == "failed"


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "lustre", "fuse.sshfs"])
def test_a_network_file_system_is_a_warning_about_databases_and_locks(tmp_path, kind):
    table = tmp_path / "mountinfo"
    lines = [
        "20 1 8:1 / / rw - ext4 /dev/sda1 rw",
        f"21 20 0:50 / {tmp_path} rw,relatime shared:9 - {kind} host:/export rw",
        f"22 20 0:51 / {tmp_path}-other rw - ext4 /dev/sdb rw",
    ]
    table.write_text("\n".join(lines))
    found = findings(Settings(tmp_path / "runs", "", mounts=table), "file system")["file system"]
    assert found.verdict == "warning"
    assert found.detail.startswith(f"{kind} mounted at {tmp_path}: SQLite")
    assert "--tracking-uri" in found.fix


def test_a_slow_disk_is_reported_by_what_a_checkpoint_takes(tmp_path, monkeypatch):
    monkeypatch.setattr("handssl.doctor.disk._write", lambda path: (10e6, 0.0))
    found = findings(Settings(tmp_path, ""), "write speed")["write speed"]
    assert found.verdict == "warning"
    assert "a checkpoint of a ResNet-18 takes 20 s" in found.detail


def test_a_storage_whose_clock_is_off_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr("handssl.doctor.disk._write", lambda path: (1e9, -90.0))
    found = findings(Settings(tmp_path, ""), "write speed")["write speed"]
    assert found.verdict == "warning"
    assert "-90 s from this host's clock" in found.detail
    assert found.fix


def test_a_file_system_whose_locks_do_not_hold_fails(tmp_path, monkeypatch):
    monkeypatch.setattr("handssl.doctor.disk.fcntl.flock", lambda file, how: None)
    found = findings(Settings(tmp_path, ""), "storage")["storage"]
    assert found.verdict == "failed"
    assert "a locked file can be locked again" in found.detail
