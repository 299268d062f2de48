"""Every part of Ray ends under a command: one of our own is started again, another's is named."""

from __future__ import annotations

import re

import pytest

from tests.execution.cluster.ray_ends import (
    PARTS,
    STUDY,
    claims,
    command,
    end,
    is_part,
    left,
    memory_pressure,
    scarce_memory,
    table,
)
from tests.execution.clusters import local_cluster

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.timeout(900)]
RAY = ("raylet", "gcs_server", "DashboardAgent", "RuntimeEnvAgent")
# The rounds of tests/faults end every part of one's own Ray too; here, once, with what is said.
OWN = [
    one if one == "gcs_server" else pytest.param(one, marks=pytest.mark.slow)
    for one in (*RAY, "driver")
]
# One of the programs of another's Ray and one of its agents; the others in `make test-all`.
ANOTHERS = [
    part if part in ("raylet", "RuntimeEnvAgent") else pytest.param(part, marks=pytest.mark.slow)
    for part in RAY
]
PRESSURE = 3 * 2**30
RUN = """
name: together
data: {pretrain: 96, probe: 48, select: 24, test: 24, image_px: 64, crop_px: 64}
pretrain:
  composition: [rotate]
  objective: relative
  epochs: 8
  global_batch: 16
  encoder: {width: 8, input_px: 32}
  heads: {projection_hidden: 8, projection_out: 8, relative_hidden: 8}
  optimizer: {warmup_epochs: 1}
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "study.yaml"
    path.write_text(STUDY, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def undisturbed(study, tmp_path_factory):
    storage = tmp_path_factory.mktemp("undisturbed")
    with command("study", "run", str(study), storage=storage) as run:
        assert run.exit_code(240) == 0, run.said
    return table(storage)


@pytest.mark.parametrize("part", OWN)
def test_a_study_goes_on_where_a_part_of_its_own_ray_ends(part, study, undisturbed, tmp_path):
    with command("study", "run", str(study), storage=tmp_path) as run:
        run.until_epochs(6)
        before = run.family()
        run.end(part)
        run.until(lambda: "Ray has ended: " in run.said, "a word of it", 20)
        assert ("process that drives it" if part == "driver" else part) in run.said
        assert run.exit_code(240) == 0, run.said
        assert left(before) == []
    assert "Traceback" not in run.said
    assert table(tmp_path) == undisturbed
    assert claims(tmp_path) == 0


def test_a_study_goes_on_where_agents_end_one_after_the_other(study, undisturbed, tmp_path):
    with command("study", "run", str(study), storage=tmp_path) as run:
        for number, part in enumerate(["DashboardAgent", "RuntimeEnvAgent"]):
            run.until_epochs(4 + 6 * number)
            run.end(part)
            # On a busy machine the rest of Ray has ended too by the time that it is seen.
            ended = rf"Ray has ended: its [^.]*{part}[^.]* ended"
            run.until(lambda ended=ended: re.search(ended, run.said), part, 60)
        assert run.exit_code(240) == 0, run.said
    assert table(tmp_path) == undisturbed


def test_a_study_goes_on_where_ray_ends_while_it_starts(study, undisturbed, tmp_path):
    with command("study", "run", str(study), storage=tmp_path) as run:
        run.end("gcs_server")
        assert run.exit_code(240) == 0, run.said
        assert "Ray has ended: " in run.said
    assert table(tmp_path) == undisturbed


def test_a_ray_that_never_lives_to_an_epoch_is_given_up_with_a_word(study, tmp_path):
    with command("study", "run", str(study), storage=tmp_path) as run:
        for count in range(1, 5):
            run.end("raylet")
            run.until(lambda n=count: run.said.count("Ray has ended") >= n or n == 4, "a word", 150)
        assert run.exit_code() == 69, run.said
        assert "Ray has ended 4 times without an epoch in between" in run.said
        assert "handssl doctor" in run.said
    assert claims(tmp_path) == 0


@pytest.mark.slow  # a round of tests/faults is one
def test_memory_pressure_costs_a_trial_an_epoch_and_not_the_study(study, undisturbed, tmp_path):
    env = scarce_memory(PRESSURE * 3 // 4)
    with command("study", "run", str(study), "--retries", "20", storage=tmp_path, env=env) as run:
        run.until_epochs(6)
        with memory_pressure(PRESSURE):
            run.until(lambda: "out of memory" in run.said, "a trial that is ended for memory", 60)
        assert run.exit_code(240) == 0, run.said
        assert "ran out of memory and ended it" in run.said
    assert table(tmp_path) == undisturbed


@pytest.mark.parametrize("part", ANOTHERS)
def test_the_end_of_anothers_ray_is_said_and_is_no_failure_of_trials(part, study, tmp_path):
    with local_cluster(1) as cluster:
        words = ("study", "run", str(study), "--address", cluster.address)
        env = {name: cluster.env[name] for name in cluster.env if name.startswith("RAY_")}
        with command(*words, storage=tmp_path, env=env, cwd=cluster.folder) as run:
            run.until_epochs(4)
            ours = run.family()
            for process in cluster.processes():
                if is_part(process, part):
                    process.kill()
            assert run.exit_code() in (69, 75), run.said
            assert left(ours) == []
            end(cluster.processes())  # what is left of Ray takes a minute to see what has happened
            assert f"the Ray cluster at {cluster.address} has ended" in run.said
            assert "run the same command again when the cluster is back" in run.said
    assert claims(tmp_path) == 0
    assert {row[2] for row in table(tmp_path) if len(row) == 5} == {"running"}


def test_a_pretraining_on_workers_goes_on_where_its_ray_ends(tmp_path):
    run_file, storage = tmp_path / "run.yaml", tmp_path / "runs"
    run_file.write_text(RUN, encoding="utf-8")
    with command("pretrain", str(run_file), "--workers", "2", storage=storage) as run:
        run.until_epochs(2)
        run.end("raylet")
        assert run.exit_code(240) == 0, run.said
        assert "Ray has ended: " in run.said
    assert [row[2:] for row in table(storage) if len(row) == 5] == [("completed", 8, 8)]


def test_every_part_that_is_ended_here_is_one_that_a_command_starts(study, tmp_path):
    with command("study", "run", str(study), storage=tmp_path) as run:
        run.until_epochs(1)
        assert [part for part in PARTS if len(run.find(part)) != 1] == []
