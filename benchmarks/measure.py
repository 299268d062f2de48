"""Run a command and print how long it took and how much memory it and its children held.

    python benchmarks/measure.py make demo

Memory is the largest sum, sampled twice a second over the whole process tree, of proportional set
sizes: pages that processes share count once. Needs Linux and psutil (`.venv/bin/python`).
"""

from __future__ import annotations

import subprocess
import sys
import time

import psutil

from handssl.bench.environment import describe

PERIOD_S = 0.5


def tree_bytes(root: psutil.Process) -> int:
    """Return the proportional set size of a process and all below it."""
    total = 0
    for process in [root, *root.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue  # it has just ended
    return total


def main(command: list[str]) -> int:
    """Run the command, print one Markdown row, return the command's exit code."""
    start_s, peak = time.perf_counter(), 0
    process = subprocess.Popen(command)
    root = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            peak = max(peak, tree_bytes(root))
        except psutil.Error:
            break
        time.sleep(PERIOD_S)
    code = process.wait()
    minutes, seconds = divmod(round(time.perf_counter() - start_s), 60)
    cost = f"{minutes} min {seconds} s | {peak / 1e9:.1f} GB"
    print(f"| `{' '.join(command)}` | {cost} | {describe()} |")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
