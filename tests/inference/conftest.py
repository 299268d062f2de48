"""A storage with one finished trial on blob hands."""

from __future__ import annotations

import pytest

from handssl.data.splits import StudyData
from handssl.ledger import Ledger
from handssl.ledger.record import TrialRecord
from handssl.training import Trial
from handssl.training.config import PretrainConfig
from tests.stores import copied_stores  # noqa: F401

TRIAL = "abcd" + 12 * "0"
CONFIG = PretrainConfig.parse(
    {
        "composition": ["rotate"],
        "objective": "relative",
        "epochs": 1,
        "global_batch": 16,
        "encoder": {"width": 8, "input_px": 32},
        "heads": {"projection_hidden": 8, "projection_out": 8, "relative_hidden": 8},
        "optimizer": {"warmup_epochs": 0},
    }
)


@pytest.fixture(scope="session")
def storage(blob_data, tmp_path_factory):
    """A storage with a finished trial."""
    storage = tmp_path_factory.mktemp("storage")
    (storage / "stores").mkdir()
    (storage / "stores" / "one").symlink_to(blob_data)
    ledger, data = Ledger(storage), StudyData(blob_data)
    (result,) = Trial(CONFIG, blob_data, ledger.folder(TRIAL)).epochs()
    record = TrialRecord(
        trial_id=TRIAL,
        study="hands",
        stage="s",
        cell="relative rotate",
        composition="rotate",
        objective="relative",
        block=1,
        outcome="completed",
        epoch=1,
        epochs=1,
        metrics=result.metrics,
        config=CONFIG.model_dump(mode="json"),
        tags={"data_labelled": f"blobs {data.fingerprint}"},
    )
    ledger.save(record)
    return storage


@pytest.fixture(scope="session")
def folder(storage):
    """The folder of the trial."""
    return storage / "trials" / TRIAL
