"""Write the pictures of MLflow's pages: `python -m tests.tracking.pictures docs/images`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from itertools import combinations
from pathlib import Path

from handssl.cli.views.mlflow import mlflow_server
from handssl.study.study import Study
from handssl.tracking.comparison import compare
from handssl.transforms import PAPER_SEVEN
from tests.tracking.pages import browser, picture
from tests.tracking.synthetic import fill


def compositions() -> Study:
    """Return all 128 compositions in three seeds."""
    names = [list(one) for size in range(8) for one in combinations(PAPER_SEVEN, size)]
    cells = [{"composition": one, "objective": "contrastive"} for one in names]
    values = {
        "pretrain": {"epochs": 3, "optimizer": {"warmup_epochs": 1}},
        "blocks": [1, 2, 3],
        "halving": None,
    }
    return Study.parse({"name": "compositions", "stage": "compositions", "cells": cells, **values})


def main(folder: Path) -> None:
    """Fill a store with a large study and write the picture of its best cells."""
    with tempfile.TemporaryDirectory() as name:
        storage = Path(name)
        fill(storage, compositions())
        uri = f"sqlite:///{storage}/mlflow.db"
        found = compare(uri, "compositions", best=10)
        chromium = shutil.which("chromium") or "google-chrome"
        with mlflow_server(uri) as (address, _), browser(chromium) as opened:
            picture(opened(found.url(address)), folder / "mlflow.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
