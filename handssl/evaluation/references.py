"""Reference results, which put the errors of trials into context.

*Mean pose* predicts the mean label of `probe` for every image. *Random encoder* is the block's
initial network, with BatchNorm statistics from one pass over the pretraining images. The third,
*supervised*, is an ordinary trial with the objective `supervised`.
"""

from __future__ import annotations

from handssl.data.sample import Split
from handssl.data.splits import StudyData
from handssl.evaluation.diagnostics import diagnose
from handssl.evaluation.features import settle_batch_norm
from handssl.evaluation.probe import evaluate_predictions, evaluate_probe, fit_probe
from handssl.evaluation.targets import as_columns, complete_hands, pose_targets
from handssl.models import EncoderConfig, build_encoder, initialise
from handssl.transforms import AugmentConfig


def mean_pose(data: StudyData) -> dict[str, float]:
    """Return the metrics of the mean pose of `probe`, on `select` and `test`.

    Args:
        data: The packed splits.

    Returns:
        median_mm and mpje_mm on `select`, test_median_mm and test_mpje_mm on `test`, and every
        protocol under `mean/`.
    """
    target = pose_targets(data.store("probe"))
    mean = as_columns(target)[complete_hands(target)].mean(0, keepdim=True)
    splits: tuple[Split, ...] = ("select", "test")
    predictions = {split: mean.expand(len(data.store(split)), -1) for split in splits}
    return evaluate_predictions(predictions, data, prefix="mean")


def random_encoder(
    config: EncoderConfig, data: StudyData, *, seed: int, augmentation: AugmentConfig | None = None
) -> dict[str, float]:
    """Return the metrics of the ridge probe on the block's initial network, and its diagnostics.

    Args:
        config: Configuration of the encoder.
        data: The packed splits.
        seed: The block's seed; the weights equal the initial weights of every arm of the block.
        augmentation: Ranges for the diagnostics; default: the documented ones.

    Returns:
        The metrics of `mean_pose`, every protocol under `ridge/`, and
        `diag/<measure>/<transformation>`.
    """
    encoder = build_encoder(config)
    initialise(encoder, seed=seed, prefix="encoder")
    settle_batch_norm(encoder, data.store("pretrain"), view_px=config.input_px)
    view_px = config.input_px
    probe, selected = fit_probe(encoder, data, view_px=view_px)
    metrics = evaluate_probe(probe, selected, encoder, data, view_px=view_px, test=True)
    return metrics | diagnose(
        encoder,
        data,
        augmentation=augmentation or AugmentConfig(),
        view_px=view_px,
        seed=seed,
        probe=probe,
    )
