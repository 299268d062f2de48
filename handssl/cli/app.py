"""The commands of `handssl` and their common options; heavy imports happen inside the commands."""

from __future__ import annotations

import sys
from io import StringIO

import click

from handssl.cli.commands import bench_resampling, bench_sweeps, jobs_head
from handssl.cli.commands.bench import bench
from handssl.cli.commands.data import data
from handssl.cli.commands.demo import demo
from handssl.cli.commands.doctor import doctor
from handssl.cli.commands.export import embed, export
from handssl.cli.commands.finetune import finetune
from handssl.cli.commands.jobs import jobs
from handssl.cli.commands.predict import predict
from handssl.cli.commands.predictions import predictions
from handssl.cli.commands.pretrain import pretrain
from handssl.cli.commands.probe import probe
from handssl.cli.commands.report import report
from handssl.cli.commands.serve import serve
from handssl.cli.commands.study import study
from handssl.cli.commands.submit import submit
from handssl.cli.commands.token import token
from handssl.cli.options import Group
from handssl.cli.secret_masking import refuse_secrets
from handssl.errors import HandsslError
from handssl.runtime.installation import code_digest, git_state, version_label
from handssl.runtime.secrets import masked

INTERRUPTED = 130
_COMPLETION = {"bash": "~/.bashrc", "zsh": "~/.zshrc", "fish": "~/.config/fish/completions"}


@click.group(
    cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda context, _, asked: _show_version(context) if asked else None,
    help="Show the version, the commit and the digest of the code, and exit.",
)
def cli() -> None:
    """Compare self-supervised objectives for hand-pose encoders, with every trial tracked.

    \b
    Start here:
      handssl demo                              five minutes on two cores, needs no data
      handssl data pack freihand --root ROOT    your own data, once
      handssl study run STUDY.yaml              a study of your own
      handssl study run objectives --set pretrain.epochs=20
      handssl predict hand.jpg                  the joints of a hand in a photo
      handssl report handssl-runs               table and page of the results in a storage
      handssl serve                             a queue of studies, with a web page

    Every command has its own --help. Results go to --storage, else $HANDSSL_HOME, else
    ./handssl-runs. An interrupted command continues when it is run again.
    """  # noqa: D301  (click's mark for a block it must not wrap)


def _show_version(context: click.Context) -> None:
    state = git_state()
    commit = state.get("mlflow.source.git.commit", "unknown")[:12]
    changed = " with local changes" if state.get("git_dirty") == "true" else ""
    click.echo(f"handssl, version {version_label()}")
    click.echo(f"commit {commit}{changed}, code {code_digest()}")
    context.exit()


@cli.command()
@click.argument("shell", type=click.Choice(sorted(_COMPLETION)), default="bash")
def completion(shell: str) -> None:
    """Print the completion script of handssl for a SHELL.

    \b
    Example:
      handssl completion bash >> ~/.bashrc
    """  # noqa: D301  (click's mark for a block it must not wrap)
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101  (click.Choice above allows only shells it knows)
    click.echo(kind(cli, {}, "handssl", "_HANDSSL_COMPLETE").source())


_ADDED = (bench_resampling, bench_sweeps, jobs_head)  # to `bench` and to `jobs`
_RESEARCH = (
    demo,
    data,
    pretrain,
    finetune,
    study,
    report,
    probe,
    predictions,
    predict,
    export,
    embed,
)
for verb in (*_RESEARCH, submit, jobs, serve, token, bench, doctor):
    cli.add_command(verb)


def invoke(arguments: list[str] | None = None) -> int:
    """Run one command line.

    Args:
        arguments: Arguments without the program's name; default: those of this process.

    Returns:
        The exit code.
    """
    try:
        refuse_secrets(sys.argv[1:] if arguments is None else arguments)
        code = cli.main(arguments, prog_name="handssl", standalone_mode=False)
    except click.ClickException as error:
        output = StringIO()
        error.show(output)
        click.echo(masked(output.getvalue()), err=True, nl=False)
        return error.exit_code
    except HandsslError as error:
        click.echo(f"handssl: {masked(str(error))}", err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("handssl: interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader, e.g. `head`, has closed the pipe: print nothing more, also not at exit.
        sys.stdout = None
        return 0
    return code if isinstance(code, int) else 0
