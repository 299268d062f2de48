"""`handssl finetune` as a user types it: from a run, from its file, from scratch."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch

import handssl
from handssl.cli.app import invoke
from handssl.evaluation.features import extract_features
from handssl.execution.resume import find_run
from handssl.ledger import Ledger
from handssl.models.initial_weights import kept_weights
from handssl.models.pretrained import digest_of, read_encoder
from handssl.models.resnet import ResNet18
from handssl.study.run_config import RunConfig

RUN = """
name: before
data: {pretrain: 64, probe: 48, select: 24, test: 24, image_px: 64, crop_px: 64}
pretrain:
  composition: [rotate]
  objective: contrastive
  epochs: 2
  global_batch: 16
  encoder: {width: 8, input_px: 32}
  heads: {projection_hidden: 8, projection_out: 8}
  optimizer: {warmup_epochs: 1}
"""


def typed(*words: object) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = invoke([*map(str, words)])
    return code, out.getvalue(), err.getvalue()


def records(storage: Path):
    return {one.trial_id: one for one in Ledger(storage).all()}


class Before:
    """A storage with one completed pretraining."""

    def __init__(self, folder: Path) -> None:
        self.storage, self.config = folder / "runs", folder / "run.yaml"
        self.config.write_text(RUN, encoding="utf-8")
        code, _, err = typed("pretrain", self.config, "--storage", self.storage, "-q")
        assert code == 0, err
        (self.trial,) = records(self.storage)
        self.folder = Ledger(self.storage).folder(self.trial)

    def finetune(self, *words: object) -> tuple[str, str]:
        """Run one fine-tuning; return the id of the new trial and what was printed."""
        known = records(self.storage)
        code, out, err = typed("finetune", *words, "--storage", self.storage)
        assert code == 0, err
        (new,) = records(self.storage).keys() - known.keys()
        return new, out


@pytest.fixture(scope="module")
def before(tmp_path_factory) -> Before:
    return Before(tmp_path_factory.mktemp("before"))


@pytest.fixture(scope="module")
def tuned(before) -> str:
    """A fine-tuning of the run on half of the labels."""
    return before.finetune(before.trial[:6], "--labels", 0.5, "--layer-decay", 0.7)[0]


def test_it_starts_from_the_weights_of_the_run(before, tuned):
    init = records(before.storage)[tuned].config["init"]
    theirs = read_encoder(before.folder / "encoder.safetensors", ResNet18(width=8))
    assert init["digest"] == digest_of(theirs)
    kept = read_encoder(kept_weights(before.storage, init["digest"]), ResNet18(width=8))
    assert digest_of(kept) == init["digest"]


def test_its_record_says_what_was_asked_and_takes_the_rest_from_the_run(before, tuned):
    found, theirs = (records(before.storage)[one] for one in (tuned, before.trial))
    assert (found.objective, found.composition) == ("supervised", "rotate+translate")
    assert (found.study, found.stage, found.outcome) == ("finetune", "finetune", "completed")
    assert found.config["finetune"] == {"labels": 0.5, "readout": "end_to_end"}
    assert found.config["optimizer"] == {**theirs.config["optimizer"], "layer_decay": 0.7}
    for name in ("encoder", "epochs", "global_batch", "seed"):
        assert found.config[name] == theirs.config[name]
    assert found.tags["data_fingerprint"] == theirs.tags["data_fingerprint"]


def test_head_and_encoder_on_disk_give_the_predictions_that_are_kept(before, tuned):
    """The model is applied by hand, from its two files alone."""
    folder = Ledger(before.storage).folder(tuned)
    kept = handssl.read_predictions(tuned, before.storage)
    head = safetensors.torch.load_file(folder / "probe.safetensors")
    encoder = ResNet18(width=8)
    encoder.load_state_dict(safetensors.torch.load_file(folder / "encoder.safetensors"))
    h = extract_features(encoder, kept.labels("test"), view_px=32).double()
    columns = ((h - head["mean"]) / head["scale"]) @ head["weight"] + head["intercept"]
    assert np.allclose(kept.of("test").uv, columns[:, :42].reshape(-1, 21, 2), atol=2e-3)
    assert np.allclose(kept.of("test").z, columns[:, 42:], atol=2e-3)
    metrics = records(before.storage)[tuned].metrics
    median = kept.errors("test").statistic("median")
    assert median == pytest.approx(metrics["test_median_mm"], abs=0.1)


def test_the_same_again_is_the_same_trial_and_trains_nothing(before, tuned):
    known = records(before.storage)
    encoder = Ledger(before.storage).folder(tuned) / "encoder.safetensors"
    written_ns = encoder.stat().st_mtime_ns
    words = (before.folder, "--labels", 0.5, "--layer-decay", 0.7)  # the run, by its folder
    code, _, err = typed("finetune", *words, "--storage", before.storage)
    assert code == 0, err
    assert records(before.storage).keys() == known.keys()
    assert encoder.stat().st_mtime_ns == written_ns


def test_file_and_run_with_the_same_weights_are_the_same_trial(before, tuned):
    known = records(before.storage)
    words = (
        "--labels",
        0.5,
        "--layer-decay",
        0.7,
        "--set",
        "pretrain.composition=[rotate,translate]",
    )
    code, _, err = typed(
        "finetune",
        before.folder / "encoder.safetensors",
        before.config,
        *words,
        "--storage",
        before.storage,
    )
    assert code == 0, err
    assert records(before.storage).keys() == known.keys()


def test_in_python_it_is_one_call(before):
    run = RunConfig.load(before.config)
    result = handssl.finetune(
        "random",
        config=run,
        changes={"pretrain.epochs": 1, "pretrain.optimizer.warmup_epochs": 0},
        storage=before.storage,
    )
    (found,) = result.records
    assert found.objective == "supervised"
    assert found.config["init"] == {"weights": "", "digest": ""}
    assert found.metrics["test_median_mm"] > 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothere",), "found no such run in"),
        (("gone.pth",), "expected random, a run or a file with weights, found no such file"),
        (("RUN", "--labels", "0"), "labels: should be greater than 0"),
        (("RUN", "--labels", "0.01"), "leaves 0; use a larger share, e.g. --labels 0.2"),
        (("RUN", "--layer-decay", "2"), "layer_decay: should be less than or equal to 1"),
        (
            ("RUN", "CONFIG", "--set", "pretrain.encoder.width=16"),
            "conv1.weight with the shape (16, 3, 7, 7) of this encoder, found (8, 3, 7, 7)",
        ),
    ],
)
def test_mistakes_are_one_clear_sentence(before, words, said, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    named = {"RUN": before.trial, "CONFIG": str(before.config)}
    asked = [named.get(word, word) for word in words]
    code, _, err = typed("finetune", *asked, "--storage", before.storage)
    assert code == 2
    assert said in err
    assert "Traceback" not in err


def test_a_run_without_an_encoder_is_refused(before):
    ledger = Ledger(before.storage)
    kept = before.folder / "encoder.safetensors"
    hidden = kept.rename(kept.with_suffix(".hidden"))
    try:
        code, _, err = typed("finetune", before.trial, "--storage", before.storage)
    finally:
        hidden.rename(kept)
    assert code != 0
    assert "expected the encoder of a finished trial, found none" in err
    assert find_run(before.trial, ledger).outcome == "completed"
