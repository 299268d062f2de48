"""`handssl pretrain`: one run, in one process or on several workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from handssl.cli.options import init_option, parse_changes, recording
from handssl.cli.training_options import parse_training, training_options


@click.command()
@click.argument("config", type=click.Path(dir_okay=False, path_type=Path), required=False)
@training_options
@click.option("--resume", "resumed", metavar="RUN", help="Trial id, its folder, or MLflow run id.")
@recording
@init_option
@click.option("--quiet", "-q", is_flag=True, help="Nothing but errors.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines on stdout, one per event.")
def pretrain(
    config: Path | None,
    resumed: str | None,
    storage: Path | None,
    tracking_uri: str | None,
    changes: tuple[str, ...],
    markdown: Path | None,
    quiet: bool,
    as_json: bool,
    **training: Any,
) -> int:
    """Pretrain one encoder with the settings of the YAML file CONFIG and --set.

    A stopped run continues at the exact step when the command is run again, or by its name with
    --resume. Exit codes: 0 done, 75 stopped by SIGTERM or --time, 130 by Ctrl-C.

    \b
    Examples:
      handssl pretrain run.yaml --storage runs/rotate
      handssl pretrain --set pretrain.composition=[rotate] --set pretrain.epochs=20
      handssl pretrain run.yaml --init resnet18.pth
      handssl pretrain run.yaml --workers 4 --time 23:30 --checkpoints s3://bucket/rotate
      handssl pretrain --resume 4f1c --storage runs/rotate
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.cli.views.run import Shown, show_finished, train
    from handssl.execution.resume import resume
    from handssl.study.run_config import RunConfig

    given = None if config is None else RunConfig.load(config)
    values, shown = parse_changes(changes), Shown(quiet, as_json, markdown)
    options = parse_training(**training)
    if resumed is None:
        run = (given or RunConfig()).merged(values)
        return train(run, shown, storage=storage, tracking_uri=tracking_uri, **options)
    found = resume(resumed, storage=storage, tracking_uri=tracking_uri, given=given, changes=values)
    if found.is_finished:
        return show_finished(found, shown)
    options |= {"storage": found.storage, "tracking_uri": found.tracking_uri}
    return train(found.run, shown, **options, continued=found.record.trial_id)
