"""docs/service.md: its table is the queue's, its commands and requests are answered."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import yaml

from handssl.cli.app import cli
from handssl.cli.queue_options import CODES
from handssl.service.queue.queue import Queue
from handssl.service.web.middleware import MOST_BYTES
from tests.service.services import served, service, study
from tests.service.test_queue import ALLOWED

TEXT = (Path(__file__).parents[2] / "docs" / "service.md").read_text()
[SHELL, CURL] = re.findall(r"```sh\n(.*?)```", TEXT, re.S)


def test_the_table_of_verbs_is_what_the_queue_does():
    rows = [line.strip("| ").split("|") for line in TEXT.splitlines() if line.startswith("| `")]
    columns = ("queued", "running", "paused", "failed", "succeeded")
    for verb, *cells in rows:
        verb = verb.strip(" `")
        for state, cell in zip(columns, (cell.strip() for cell in cells), strict=False):
            if verb != "reprioritise" and state != "running" and cell:
                assert ALLOWED[state][verb] == cell
    assert {verb.strip(" `") for verb, *_ in rows} == {
        *("pause", "resume", "cancel", "retry", "reprioritise")
    }


def test_the_commands_are_ours():
    for line in SHELL.splitlines():
        words = shlex.split(line, comments=True)[1:]
        context = cli.make_context("handssl", words[:])
        verb, command, rest = cli.resolve_command(context, words)
        if hasattr(command, "commands"):
            context = command.make_context(verb, rest[:], parent=context)
            verb, command, rest = command.resolve_command(context, rest)
        command.make_context(verb, rest, parent=context)


def test_the_requests_are_answered(tmp_path):
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(study("mine")))
    of = service(tmp_path)
    with served(of) as url:
        first = of.queue.submit([], user="x")
        assert first == []
        submitting, rest = CURL.split('curl -sf "$HANDSSL_SERVICE/api/jobs?state')
        run(submitting, tmp_path, HANDSSL_SERVICE=url)
        assert of.queue.depth() == {("default", "queued"): 2}
        [name, _] = names(of.queue)
        run(f'curl -sf "$HANDSSL_SERVICE/api/jobs?state{rest}', tmp_path, url, name)
        assert of.queue.get(name).state == "cancelled"


def names(queue: Queue) -> list[str]:
    from handssl.service.queue.listing import page

    return [job.id for job in page(queue)[0]]


def run(block: str, folder: Path, service_url: str = "", job: str = "", **more: str) -> None:
    env = os.environ | {"HANDSSL_SERVICE": service_url, "JOB": job} | more
    words = ["bash", "-euo", "pipefail", "-c", block]
    done = subprocess.run(words, env=env, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_numbers_of_the_page_are_the_codes():
    for state, code in CODES.items():
        assert f"{code} {state}" in TEXT
    assert MOST_BYTES == 2 * 2**20
    assert "larger than 2 MiB" in TEXT
