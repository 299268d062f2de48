"""Checks of the storage: space, rename, fsync, locks, speed, clock, and file system type."""

from __future__ import annotations

import errno
import fcntl
import os
import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

from handssl.doctor.check import Finding, Settings, size
from handssl.runtime.private_files import is_exposed

STORE_BYTES = 14_500_000_000  # FreiHAND's 130,240 images packed as crops of 192 x 192
TRIAL_BYTES = 400_000_000  # two checkpoints of a ResNet-18 with Adam's moments, and its weights
TRIALS = 40
STUDY_BYTES = STORE_BYTES + TRIALS * TRIAL_BYTES
LEAST_BYTES = 1_000_000_000
LEAST_INODES = 10_000
SPEED_BYTES = 64 * 1024**2
SLOW_BYTES_PER_S = 20e6
SKEW_S = 5.0
# File systems on which SQLite's locks, or those of other hosts, are not reliable.
_NETWORK = ("nfs", "cifs", "smb", "lustre", "beegfs", "gpfs", "ceph", "glusterfs", "fuse.", "9p")
_VOLATILE = ("tmpfs", "ramfs")


def check_storage(settings: Settings) -> Finding:
    """Check that a file in the storage can be written, replaced, synced and locked."""
    try:
        with _scratch(settings.storage) as folder:
            wrong = _replaces(folder) or _locks(folder)
    except OSError as error:
        fix = "choose a writable folder with --storage, or change the folder's permissions"
        detail = f"{settings.storage} cannot be written: {error.strerror}"
        return Finding("storage", "failed", detail, fix)
    if wrong:
        return Finding("storage", "failed", wrong, "choose a local disk with --storage")
    state = "" if settings.storage.exists() else " (does not exist yet)"
    detail = f"{settings.storage}{state}: files can be replaced, synced and locked"
    return Finding("storage", "ok", detail)


def check_space(settings: Settings) -> Finding:
    """Compare free bytes and inodes with what a study needs."""
    found = os.statvfs(_existing(settings.storage))
    free, files = found.f_frsize * found.f_bavail, found.f_favail
    need = (
        f"{size(free)} free; a study of {TRIALS} trials of ResNet-18 on packed FreiHAND takes "
        f"{size(STUDY_BYTES)}, the demo {size(LEAST_BYTES)}"
    )
    fix = "free some space, or choose another disk with --storage"
    if found.f_files and files < LEAST_INODES:
        return Finding("space", "failed", f"only {files} more files can be created; {need}", fix)
    if free < LEAST_BYTES:
        return Finding("space", "failed", need, fix)
    return Finding("space", "ok" if free >= STUDY_BYTES else "warning", need, _unless(free, fix))


def check_file_system(settings: Settings) -> Finding:
    """Name the file system, and warn if databases and locks are not safe on it."""
    kind, where = _kind(_existing(settings.storage), settings.mounts)
    detail = f"{kind} mounted at {where}"
    if kind.startswith(_NETWORK):
        detail += ": SQLite and locks between hosts are not safe there"
        fix = (
            "write from one host at a time; give MLflow a server with --tracking-uri, and the "
            "ledger a PostgreSQL with HANDSSL_LEDGER"
        )
        return Finding("file system", "warning", detail, fix)
    if kind in _VOLATILE:
        fix = "choose a disk with --storage"
        return Finding("file system", "warning", f"{detail}: lost at the next restart", fix)
    return Finding("file system", "ok", detail)


def check_write_speed(settings: Settings) -> Finding:
    """Write and sync 64 MiB; compare the clock of the storage with that of this host."""
    try:
        with _scratch(settings.storage) as folder:
            rate, skew_s = _write(folder / "speed")
    except OSError as error:
        fix = "free some space, or choose another disk with --storage"
        return Finding("write speed", "failed", f"64 MiB: {error.strerror}", fix)
    detail = f"{size(rate)}/s for 64 MiB synced to disk"
    if abs(skew_s) > SKEW_S:
        detail = f"the clock of the storage differs by {skew_s:+.0f} s from this host's clock"
        return Finding("write speed", "warning", detail, "let both hosts use one time server")
    if rate < SLOW_BYTES_PER_S:
        detail += f": a checkpoint of a ResNet-18 takes {TRIAL_BYTES / 2 / rate:.0f} s"
        return Finding("write speed", "warning", detail, "choose a local disk with --storage")
    return Finding("write speed", "ok", detail)


def _unless(free: int, fix: str) -> str:
    return "" if free >= STUDY_BYTES else fix


def _existing(folder: Path) -> Path:
    """Return the folder, or its nearest existing parent."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    return next(path for path in (folder, *folder.parents) if path.is_dir())


@contextmanager
def _scratch(storage: Path) -> Iterator[Path]:
    """Create a temporary folder on the storage's disk; the storage itself is not created."""
    folder = Path(mkdtemp(prefix=".handssl-doctor-", dir=_existing(storage)))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _replaces(folder: Path) -> str:
    """Replace a file as records and checkpoints are replaced; return the error, empty if none."""
    old, new = folder / "file", folder / "file.partial"
    for path, text in ((old, "old"), (new, "new")):
        with path.open("w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    new.replace(old)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    whole = old.read_text(encoding="ascii") == "new" and not new.exists()
    return "" if whole else f"{folder.parent}: a file that was replaced is not the new one"


def _locks(folder: Path) -> str:
    """Lock a file twice; return the error, empty if none."""
    with (folder / "lock").open("w") as one, (folder / "lock").open("w") as other:
        try:
            fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return f"{folder.parent}: the file system has no locks ({error.strerror})"
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return ""
    return f"{folder.parent}: a locked file can be locked again"


def _write(path: Path) -> tuple[float, float]:
    """Return bytes per second, and by how many seconds the file's time is ahead of the clock."""
    block = os.urandom(1024**2)  # random, so that a compressing file system gains nothing
    start_s = time.perf_counter()
    with path.open("wb") as file:
        for _ in range(SPEED_BYTES // len(block)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    seconds = time.perf_counter() - start_s
    return SPEED_BYTES / seconds, path.stat().st_mtime - time.time()


def _kind(folder: Path, table: Path) -> tuple[str, str]:
    """Return type and mount point of the file system that holds a folder."""
    if not table.exists():
        return "unknown", "/"
    found = ("unknown", "/")
    for line in table.read_text(encoding="utf-8").splitlines():
        before, _, after = line.partition(" - ")
        mount = before.split()[4].encode().decode("unicode_escape")
        # Of two mounts at one point the later one is visible.
        if folder.is_relative_to(mount) and len(mount) >= len(found[1]):
            found = after.split()[0], mount
    return found


def check_secret_files(settings: Settings) -> Finding:
    """Check the permissions of the files in which libraries and the service keep secrets."""
    there = [file for file in _files(settings.storage) if file.exists()]
    exposed = [file for file in there if is_exposed(file)]
    if exposed:
        detail = f"other users can read {', '.join(map(str, exposed))}"
        fix = f"chmod go= {shlex.join(map(str, exposed))}; then replace the secrets in them"
        return Finding("secret files", "warning", detail, fix)
    return Finding("secret files", "ok", f"{len(there)} with secrets, readable by this user only")


def _files(storage: Path) -> Iterator[Path]:
    service = storage / "service"
    yield from (service, service / "ray_token", service / "mlflow_password")
    for name in ("RAY_AUTH_TOKEN_PATH", "PGPASSFILE"):
        if named := os.environ.get(name):
            yield Path(named)
    with suppress(RuntimeError):  # a user without a home folder
        home = Path.home()
        yield from (home / ".ray" / "auth_token", home / ".pgpass", home / "handssl.env")
