"""A GPU machine without Ray, MLflow or albumentations still pretrains and probes."""

import subprocess
import sys

ABSENT = ("ray", "mlflow", "albumentations", "pandas", "matplotlib", "rich", "click", "scipy")

SCRIPT = """
import sys
from pathlib import Path

for name in sys.argv[2].split(","):
    sys.modules[name] = None  # importing it now fails as if it were not installed

from handssl.training import PretrainConfig, Trial

config = PretrainConfig.parse({
    "composition": ["rotate"], "objective": "relative", "epochs": 2, "global_batch": 32,
    "encoder": {"width": 8, "input_px": 32}, "heads": {"relative_hidden": 16},
    "optimizer": {"warmup_epochs": 1.0},
})
trial = Trial(config, Path(sys.argv[1]), Path(sys.argv[3]))
print([result.epoch for result in trial.epochs()])
"""


def test_the_core_trains_without_what_only_the_sweep_needs(blob_data, tmp_path):
    arguments = [str(blob_data), ",".join(ABSENT), str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, timeout=100
    )
    assert done.stdout.strip() == "[1, 2]", done.stderr
