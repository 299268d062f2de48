"""`handssl demo`: Sec. 4.2, optionally 4.3, on the built-in procedural hands."""

from __future__ import annotations

from pathlib import Path

import click

from handssl.cli.options import parse_changes, running


@click.command()
@click.option(
    "--size",
    type=click.Choice(["small", "order", "compositions"]),
    default="small",
    show_default=True,
    help="small: one block, about five minutes on two cores; order: three blocks, about an hour; "
    "compositions: three transformations, and then all subsets of them, each on the objective "
    "with which it was better.",
)
@click.option("--blocks", type=click.IntRange(1, 1000), help="Seeds to repeat every cell with.")
@running
def demo(
    size: str,
    blocks: int | None,
    storage: Path | None,
    tracking_uri: str | None,
    changes: tuple[str, ...],
    markdown: Path | None,
    quiet: bool,
    as_json: bool,
) -> int:
    """Compare transformations and objectives on hands that need no download.

    Every transformation alone with the contrastive objective; translate, rotate and color_jitter
    with the relative objective too. Cells without a rival may be stopped early. Ends with a
    table, a page and the command that opens the MLflow UI. If it is interrupted with Ctrl-C, it
    continues when it is run again.

    \b
    Examples:
      handssl demo
      handssl demo --size order --storage runs/order
      handssl demo --size compositions
      handssl demo --set pretrain.epochs=4 --json > result.json
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.cli.views.study_run import execute
    from tune_spaces import demo as spaces

    if blocks is not None:  # first, so that --set takes precedence
        changes = (f"blocks={list(range(1, blocks + 1))}", *changes)
    planned = spaces.study(size).merged(parse_changes(changes))
    return execute(
        planned,
        storage,
        tracking_uri,
        quiet=quiet,
        as_json=as_json,
        markdown=markdown,
        source=f"demo-{size}",
        changes=changes,
    )
