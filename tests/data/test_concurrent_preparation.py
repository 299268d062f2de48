"""Several processes that want the same procedural hands at once get the same store."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import json, sys
from pathlib import Path
from handssl.data.config import ProceduralData
from handssl.data.preparation import prepare
from handssl.data.splits import StudyData

print("ready", flush=True)
sys.stdin.readline()
data = ProceduralData(pretrain=32, probe=16, select=16, test=16, image_px=64, crop_px=64)
made = []
folder = prepare(data, Path(sys.argv[1]), lambda phase, done, total: made.append(phase))
print(json.dumps([str(folder), StudyData(folder).fingerprint, sorted(set(made))]))
"""


def test_hands_that_several_ask_for_at_once_are_rendered_once(tmp_path):
    words = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    root = Path(__file__).parents[2]
    processes = [subprocess.Popen(words, **pipes, cwd=root) for _ in range(3)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    found = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    assert len({(folder, fingerprint) for folder, fingerprint, _ in found}) == 1
    assert ["rendering" in phases for *_, phases in found].count(True) == 1
