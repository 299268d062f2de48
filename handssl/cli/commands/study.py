"""`handssl study`: run a study from a YAML file or by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from handssl.cli.commands.study_compare import compare_study
from handssl.cli.commands.study_control import VERBS
from handssl.cli.commands.study_noise import study_noise
from handssl.cli.commands.study_plan import plan_study
from handssl.cli.commands.study_simulate import simulate_study
from handssl.cli.execution_options import execution_options
from handssl.cli.options import Group, init_option, parse_changes, running
from handssl.config import nearest
from handssl.errors import InputError

if TYPE_CHECKING:
    from handssl.planning.execution_options import ExecutionOptions
    from handssl.study.study import Study

NAMES = (
    *("compositions", "demo", "demo-small", "demo-order", "demo-compositions"),
    *("objectives", "paper", "published", "published-code", "smoke", "validity"),
)


@click.group(cls=Group)
def study() -> None:
    """Run studies: sets of cells that are compared, repeated with several seeds."""


@study.command("run")
@click.argument("source", metavar="STUDY")
@running
@init_option
@execution_options
@click.option("--outcome", type=click.Path(path_type=Path), hidden=True)  # used by the service
def run_study(
    source: str,
    storage: Path | None,
    tracking_uri: str | None,
    changes: tuple[str, ...],
    markdown: Path | None,
    quiet: bool,
    as_json: bool,
    how: ExecutionOptions,
    outcome: Path | None,
) -> int:
    """Run STUDY, a YAML file or the name of a built-in study.

    objectives is Sec. 4.2 of the paper, compositions 4.2 and 4.3, paper all of it, published its
    15 + 15 compositions, published-code the same as its code has it (with --init, from ImageNet);
    demo, demo-order and demo-compositions are small, validity has the rows of
    benchmarks/validity.md, smoke takes seconds.
    Trials finished by an earlier run, of this or another study, are not run again.

    \b
    Examples:
      handssl study run mine.yaml --storage runs/mine
      handssl study run objectives --set pretrain.epochs=20 --set blocks=[1,2,3]
      handssl study run published-code --init resnet18.pth
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from handssl.cli.views.study_run import execute
    from handssl.execution.supervision.outcome_file import telling

    def work() -> int:
        planned = load_study(source, storage).merged(parse_changes(changes))
        return execute(
            planned,
            storage,
            tracking_uri,
            quiet=quiet,
            as_json=as_json,
            markdown=markdown,
            source=source,
            changes=changes,
            how=how,
        )

    return telling(outcome, work)


@study.command("schema")
def print_schema() -> None:
    """Print the JSON schema of a study file, for completion and checks in editors.

    \b
    Example:
      handssl study schema > study.schema.json
      # first line of a study file: # yaml-language-server: $schema=study.schema.json
    """  # noqa: D301  (click's mark for a block it must not wrap)
    import json

    from handssl.study.study import Study

    click.echo(json.dumps(Study.model_json_schema(), indent=2))


for verb in (plan_study, study_noise, *VERBS, simulate_study, compare_study):
    study.add_command(verb)


def load_study(source: str, storage: Path | None = None) -> Study:
    """Return a study by file or by name.

    Args:
        source: Path of a YAML file, a name from `tune_spaces`, or the name of a study that was run.
        storage: Folder of the results.

    Raises:
        InputError: There is no such file or name, or the file has mistakes.
    """
    from handssl.study.study import Study

    if source in NAMES and not Path(source).is_file():
        return _named(source)
    if not Path(source).exists() and (known := _known(source, storage)):
        return known
    if not Path(source).suffix and not Path(source).exists():
        raise InputError(
            f"STUDY: expected a YAML file or a name, got {source!r}{nearest(source, NAMES)}"
        )
    return Study.load(Path(source))


def load_run_study(source: str, storage: Path | None) -> Study:
    """Return an existing study by its name, as it was last run; else as `load_study` does."""
    known = None if Path(source).is_file() else _known(source, storage)
    return known or load_study(source, storage)


def _known(source: str, storage: Path | None) -> Study | None:
    from handssl.execution.control import recorded_study

    return recorded_study(source, storage)


def _named(name: str) -> Study:
    from tune_spaces import compositions, demo, objectives, paper, published, smoke, validity

    studies: dict[str, Callable[[], Study]] = {
        "compositions": compositions.study,
        "demo": demo.study,
        **{f"demo-{size}": partial(demo.study, size) for size in demo.SIZES},
        "objectives": objectives.study,
        "paper": paper.study,
        "published": published.study,
        "published-code": partial(published.study, code=True),
        "smoke": smoke.study,
        "validity": validity.study,
    }
    return studies[name]()
