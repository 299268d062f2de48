"""Runs that are killed while they save, and two runs in one folder; with real processes."""

import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from handssl.errors import DataError, InputError
from handssl.training.checkpoints import CheckpointFolder, RunLock
from handssl.training.checkpoints import lock as lock_module

# One process imports torch once and forks the runs that are killed.
STATE = """
import os, random, select, signal, sys
from pathlib import Path
import torch
from handssl.training.checkpoints import CheckpointFolder, RunState

torch.set_num_threads(1)  # a forked child has none of the threads of its parent

def state(epoch, numbers):
    model = {f"layer{i}": torch.full((numbers,), float(epoch + i)) for i in range(4)}
    return RunState(epoch, {"model": model}, {"seed": 1}, "f", [{"loss": 0.1 * epoch}])

def forked(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(7)
    return pid

def check(path, least, most, numbers):
    left = list(path.glob("*.tmp-*"))
    notes = []
    folder = CheckpointFolder(path, on_note=notes.append)
    assert not list(path.glob("*.tmp-*")), "orphans are collected on open"
    found = folder.latest()
    epoch = found.epoch if found else 0
    assert least <= epoch <= most, (least, epoch, most)
    assert not found or repr(found) == repr(state(epoch, numbers))
    assert notes == [] and len(folder.files()) <= 3, (notes, folder.files())
    return epoch, len(left)
"""
# Killed before the n-th call to the system that a save makes, for every n there is.
EVERY_CALL = """
def dying(n, path):
    left = [n]
    def counted(real):
        def call(*args, **kwargs):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)
        return call
    # A first save, so that the second one has something to lose and something to remove.
    folder = CheckpointFolder(path, keep=1)
    folder.save(state(1, 50))
    import fcntl, io
    opened = Path.open
    class Raw(io.FileIO):
        write = counted(io.FileIO.write)
    def open_counted(self, mode="r", *args, **kwargs):
        return opened(self, mode) if "x" not in mode else io.BufferedWriter(Raw(self, mode), 64)
    Path.open, os.fsync = counted(open_counted), counted(os.fsync)
    Path.replace, Path.unlink = counted(Path.replace), counted(Path.unlink)
    fcntl.flock = counted(fcntl.flock)
    folder.save(state(2, 50))

root, seen = Path(sys.argv[1]), []
for n in range(100):
    pid = forked(lambda: dying(n, root / str(n)))
    killed = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    seen.append(check(root / str(n), 1 if killed else 2, 2, 50))
    if not killed:
        break
print(n, sum(epoch == 1 for epoch, _ in seen), sum(orphans for _, orphans in seen))
"""
# Killed from outside at any time, while it saves without a pause.
ANY_TIME = """
def saving(path, pipe):
    folder = CheckpointFolder(path)
    found = folder.latest()
    for epoch in range(found.epoch + 1 if found else 1, 10**6):
        folder.save(state(epoch, 100_000))
        os.write(pipe, b"%d\\n" % epoch)

path, rounds, torn, last = Path(sys.argv[1]), int(sys.argv[2]), 0, 0
for number in range(rounds):
    out, into = os.pipe()
    pid = forked(lambda: saving(path, into))
    os.close(into)
    told = os.read(out, 4096)
    select.select([], [], [], random.Random(number).uniform(0.0, 0.03))
    os.kill(pid, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    while more := os.read(out, 4096):
        told += more
    os.close(out)
    last = int(told.split()[-1])
    epoch, orphans = check(path, last, last + 1, 100_000)
    torn += orphans
print(rounds, epoch, torn)
"""
# The module alone: what else the package imports takes seconds.
HOLDER = f"""
import importlib.util, os, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("lock", {lock_module.__file__!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
lock = module.RunLock(Path(sys.argv[1]))
"""


def output(script, *args):
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


def holder(folder, then):
    """A process that holds the lock, says so, then does `then`."""
    script = HOLDER + then
    process = subprocess.Popen(
        [sys.executable, "-c", script, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    return process, process.stdout.readline().split()


def ended(process):
    process.kill()
    process.communicate()


def test_a_save_killed_before_any_of_its_system_calls_loses_nothing(tmp_path):
    calls, kept_the_old, orphans = output(STATE + EVERY_CALL, tmp_path)
    assert calls > 10  # open, lock, writes, two flushes, rename, removal
    assert 0 < kept_the_old < calls
    assert orphans > 5


def test_a_run_killed_at_any_time_while_saving_continues_with_what_it_reported(tmp_path):
    rounds, epoch, _ = output(STATE + ANY_TIME, tmp_path / "run", 1)
    assert (rounds, epoch >= 1) == (1, True)


@pytest.mark.slow
def test_twenty_kills_in_a_row_lose_no_epoch_that_was_reported(tmp_path):
    rounds, epoch, torn = output(STATE + ANY_TIME, tmp_path / "run", 20)
    assert (rounds, epoch >= 20) == (20, True)
    assert torn > 0  # some kills did hit a file half written
    assert CheckpointFolder(tmp_path / "run").latest().epoch == epoch


def test_a_second_process_is_refused_by_name_until_the_first_is_killed(tmp_path):
    process, (pid,) = holder(tmp_path, "print(os.getpid(), flush=True); sys.stdin.read()")
    try:
        named = rf"expected a folder that no run uses, process {pid} on {re.escape(os.uname()[1])}"
        with pytest.raises(InputError, match=named + r" \(since 20"):
            RunLock(tmp_path)
    finally:
        ended(process)
    with RunLock(tmp_path):
        assert str(os.getpid()) in (tmp_path / "run.lock").read_text()


def test_the_lock_ends_with_its_process_though_a_forked_child_lives_on(tmp_path):
    fork = """
out, into = os.pipe()
child = os.fork()
if child == 0:
    os.write(into, b"1")  # it has run far enough to have let go of the lock
    sys.stdin.read()
    os._exit(0)
os.read(out, 1)
print(os.getpid(), child, flush=True)
sys.stdin.read()
"""
    process, (_, child) = holder(tmp_path, fork)
    try:
        process.send_signal(signal.SIGKILL)
        process.wait()
        os.kill(int(child), 0)  # it lives
        RunLock(tmp_path).release()
    finally:
        os.kill(int(child), signal.SIGKILL)
        ended(process)


def test_a_child_that_ends_leaves_the_lock_to_its_parent(tmp_path):
    children = """
import subprocess
if os.fork() == 0:
    lock.release()
    sys.exit(0)
os.wait()
subprocess.run(["true"], close_fds=False, check=True)
print(os.getpid(), flush=True)
sys.stdin.read()
"""
    process, _ = holder(tmp_path, children)
    try:
        with pytest.raises(InputError, match=f"process {process.pid} "):
            RunLock(tmp_path)
    finally:
        ended(process)


def test_a_program_started_by_the_holder_does_not_prolong_the_lock(tmp_path):
    start = """
import subprocess
other = subprocess.Popen(["cat"], close_fds=False)
print(os.getpid(), other.pid, flush=True)
sys.stdin.read()
"""
    process, (_, other) = holder(tmp_path, start)
    try:
        process.send_signal(signal.SIGKILL)
        process.wait()
        os.kill(int(other), 0)
        RunLock(tmp_path).release()
    finally:
        os.kill(int(other), signal.SIGKILL)
        ended(process)


def test_of_many_that_try_at_once_one_gets_the_lock_again_and_again(tmp_path):
    def attempt(_):
        try:
            return RunLock(tmp_path)
        except InputError:
            return None

    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            held = [lock for lock in pool.map(attempt, range(8)) if lock is not None]
            assert len(held) == 1
            held[0].release()


def test_a_lock_is_free_after_release_and_when_its_object_is_gone(tmp_path):
    lock = RunLock(tmp_path)
    with pytest.raises(InputError, match=f"process {os.getpid()} "):
        RunLock(tmp_path)
    lock.release()
    lock.release()
    other = RunLock(tmp_path)
    del other
    RunLock(tmp_path).release()


def test_a_holder_that_has_yet_to_write_its_name_is_another_process(tmp_path):
    with RunLock(tmp_path):
        (tmp_path / "run.lock").write_text("")
        with pytest.raises(InputError, match="another process uses it"):
            RunLock(tmp_path)


def test_a_folder_that_cannot_hold_a_lock_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="choose a writable folder on a file system with locks"):
        RunLock(tmp_path / "file")


def test_a_lock_is_not_sent_to_another_process(tmp_path):
    import pickle

    with RunLock(tmp_path) as lock, pytest.raises(TypeError, match="belongs to its process"):
        pickle.dumps(lock)
