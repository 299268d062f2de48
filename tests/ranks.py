"""Several processes that solve one problem together.

Started by `python -m tests.ranks MODULE FOLDER WORLD...`; what `MODULE.solve(world, rank, folder)`
returns is kept in `FOLDER/<world>-<rank>.pt`.
"""

from __future__ import annotations

import datetime
import importlib
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import torch
import torch.distributed as dist

ROOT = Path(__file__).parents[1]


def solve_together(module, folder, worlds, *, timeout_s=240):
    """Let several processes solve a module's problem; they meet in files and talk on loopback."""
    # As this process finds modules, and with no word to other machines.
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": paths}
    if Path("/sys/class/net/lo").exists():
        environment["GLOO_SOCKET_IFNAME"] = "lo"
    words = [sys.executable, "-m", "tests.ranks", module, str(folder), *map(str, worlds)]
    done = subprocess.run(
        words,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]


def found_by(folder, world):
    """Return what each of several processes has left."""
    files = [folder / f"{world}-{rank}.pt" for rank in range(world)]
    return [torch.load(file, weights_only=True) for file in files]


def work(solve, world, rank, folder):
    """Be one of several processes: meet the others in a file, solve, leave the findings."""
    dist.init_process_group(
        "gloo",
        store=dist.FileStore(str(folder / f"store{world}"), world),
        rank=rank,
        world_size=world,
        timeout=datetime.timedelta(seconds=60),
    )
    torch.save(solve(world, rank, folder), folder / f"{world}-{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def main(module, folder, *worlds):
    """Fork the processes: importing everything once takes most of the time."""
    solve = importlib.import_module(module).solve
    torch.set_num_threads(1)
    context = multiprocessing.get_context("fork")
    for world in map(int, worlds):
        ranks = [
            context.Process(target=work, args=(solve, world, r, Path(folder))) for r in range(world)
        ]
        for process in ranks:
            process.start()
        for process in ranks:
            process.join(timeout=200)
        failed = [rank for rank, process in enumerate(ranks) if process.exitcode != 0]
        for process in ranks:
            process.kill()
        if failed:
            sys.exit(f"ranks {failed} of {world} failed")


if __name__ == "__main__":
    main(*sys.argv[1:])
