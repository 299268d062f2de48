"""Make the small model that is part of handssl from a completed run.

    handssl study run validity --storage STORAGE
    python scripts/bundle_model.py STORAGE RUN

RUN is the row "supervised epochs=24 on procedural" with the least median error on `select`: a
ResNet-18 of width 16, trained end to end with 20,480 labelled procedural hands. Its weights are
rounded to half precision, and a ridge read-out is fitted on the rounded encoder.
"""

from __future__ import annotations

import sys
from pathlib import Path

from handssl.data.splits import StudyData
from handssl.evaluation.kept_probe import KeptProbe
from handssl.evaluation.probe import errors_of_hands, fit_probe, predict_splits
from handssl.execution.trained.card import card_of, with_interval
from handssl.execution.trained.models import open_trial
from handssl.execution.trial_files import labelled_store
from handssl.inference.bundled import BUNDLED, LARGEST_BYTES
from handssl.inference.card import markdown
from handssl.inference.model import HandModel
from handssl.inference.model_file import rounded, save_model
from handssl.models import build_encoder
from handssl.pose import ALIGNED_PROTOCOL, PRIMARY_PROTOCOL
from handssl.training import PretrainConfig
from handssl.training.weights import load_weights

NOTES = (
    "Trained on procedural hands only, on no photo: a demonstration of the software. On photos of "
    "real hands its errors are not known; expect them to be large.",
)


def main(storage: Path, run: str) -> None:
    """Write model and card; fail if the file is too large for the wheel."""
    model = _model(storage, run)
    save_model(model, BUNDLED, half=True)
    BUNDLED.with_suffix(".md").write_text(markdown(model.card, model.network), encoding="utf-8")
    size = BUNDLED.stat().st_size
    print(f"{BUNDLED.name}: {size:,} bytes; {model.card.errors[0]}")
    if size > LARGEST_BYTES:
        sys.exit(f"expected at most {LARGEST_BYTES:,} bytes")


def _model(storage: Path, run: str) -> HandModel:
    """Return the encoder of a run in half precision, with a read-out fitted on it."""
    trial = open_trial(run, storage)
    config = PretrainConfig.parse(trial.record.config)
    store = labelled_store(trial.record, storage)
    assert store is not None
    data, view_px = StudyData(store), config.encoder.input_px
    encoder = build_encoder(config.encoder)
    load_weights(encoder, trial.folder / "encoder.safetensors")
    rounded(encoder)
    probe, selected = fit_probe(encoder.eval(), data, view_px=view_px)
    columns = predict_splits(probe, selected, encoder, data, view_px=view_px, test=True)["test"]
    errors = tuple(
        with_interval(errors_of_hands(columns, data.store("test"), name), name)
        for name in (PRIMARY_PROTOCOL, ALIGNED_PROTOCOL)
    )
    kept = KeptProbe.of(probe.read_out(), encoder, config.encoder, data.store("probe"))
    facts = {"name": "procedural", "errors": errors, "notes": NOTES}
    card = card_of(trial.record, storage, intervals=False).model_copy(update=facts)
    return HandModel(encoder, kept, card)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
