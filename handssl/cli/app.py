"""The commands of `handssl` and their common options; heavy imports happen inside the commands."""

from __future__ import annotations

import sys
from io import StringIO

import click

from handssl.cli import bench_effects, bench_queue, bench_sweep, jobs_on_head
from handssl.cli.bench import bench
from handssl.cli.data import data
from handssl.cli.demo import demo
from handssl.cli.doctor import doctor
from handssl.cli.groups import Group
from handssl.cli.guarding import refuse_secrets
from handssl.cli.jobs import jobs
from handssl.cli.pretrain import pretrain
from handssl.cli.probe import probe
from handssl.cli.report import report
from handssl.cli.serving import serve
from handssl.cli.study import study
from handssl.cli.submitting import submit
from handssl.cli.tokens import token
from handssl.errors import HandsslError
from handssl.installed import code_digest, git_state, version_label
from handssl.secrets import masked

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


_ADDED = (bench_effects, bench_queue, bench_sweep, jobs_on_head)  # to `bench` and to `jobs`
for verb in (demo, data, pretrain, study, report, probe, submit, jobs, serve, token, bench, doctor):
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
        said = StringIO()
        error.show(said)
        click.echo(masked(said.getvalue()), err=True, nl=False)
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
