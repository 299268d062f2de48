"""`handssl finetune`: train encoder and head on labelled hands, from weights or from scratch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from handssl.cli.options import parse_changes, recording
from handssl.cli.training_options import parse_training, training_options


@click.command()
@click.argument("start", metavar="RUN|FILE|random")
@click.argument("config", type=click.Path(dir_okay=False, path_type=Path), required=False)
@click.option(
    "--labels",
    type=float,
    metavar="SHARE",
    help="Share of the labels of probe, e.g. 0.1; the same ones for every start.  [default: 1.0]",
)
@click.option("--seed", type=int, help="Of labels, head, order and views; default: that of RUN.")
@click.option("--epochs", type=int, help="Passes over as many images as pretraining has.")
@click.option(
    "--layer-decay",
    type=float,
    metavar="FACTOR",
    help="Rate of each layer over that of the next, from head to stem; 1: all layers have one "
    "rate; 0: the encoder is frozen and a linear head is trained.  [default: 1.0]",
)
@click.option(
    "--readout",
    type=click.Choice(["end_to_end", "probe"]),
    help="What is measured: the head trained with the encoder, or a ridge probe on the features.  "
    "[default: end_to_end]",
)
@training_options
@recording
@click.option("--quiet", "-q", is_flag=True, help="Nothing but errors.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines on stdout, one per event.")
def finetune(
    start: str,
    config: Path | None,
    labels: float | None,
    seed: int | None,
    epochs: int | None,
    layer_decay: float | None,
    readout: str | None,
    storage: Path | None,
    tracking_uri: str | None,
    changes: tuple[str, ...],
    markdown: Path | None,
    quiet: bool,
    as_json: bool,
    **training: Any,
) -> int:
    """Train an encoder and a linear 2.5D head, end to end, on the labelled images of probe.

    Start from a RUN of the storage (trial id, folder or MLflow run id), from a FILE of torchvision,
    PeCLR or handssl, or from scratch: random. Without CONFIG, data and settings are those of RUN,
    and images are rotated and translated. It is a run like any other: its error on select is
    recorded after every epoch, the one on test at the end, with predictions, encoder and head in
    its folder, and it continues where it stopped when the command is run again.

    Fine-tuning pays where labels are few: compare --labels 0.01, 0.1 and 1 with the same labels
    from scratch (random) and with a linear layer on the frozen encoder (--layer-decay 0), over
    several --seed; the study benchmarks/studies/label_efficiency.yaml does that with intervals.

    \b
    Examples:
      handssl finetune 3f2a
      handssl finetune 3f2a --labels 0.1 --layer-decay 0.7
      handssl finetune 3f2a --labels 0.1 --layer-decay 0 --readout probe
      handssl finetune random run.yaml --labels 0.1
      handssl finetune resnet18.pth run.yaml --set pretrain.optimizer.lr_base=3e-5
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.cli.views.run import Shown, train
    from handssl.execution.finetune import finetune_run
    from handssl.study.run_config import RunConfig

    given = {
        "pretrain.finetune.labels": labels,
        "pretrain.finetune.readout": readout,
        "pretrain.seed": seed,
        "pretrain.epochs": epochs,
        "pretrain.optimizer.layer_decay": layer_decay,
    }
    values = {name: value for name, value in given.items() if value is not None}
    run = finetune_run(
        start,
        config=None if config is None else RunConfig.load(config),
        changes=values | parse_changes(changes),
        storage=storage,
    )
    options = parse_training(**training)
    shown = Shown(quiet, as_json, markdown)
    return train(run, shown, storage=storage, tracking_uri=tracking_uri, **options)
