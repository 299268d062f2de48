"""An attempt from its start to its end, on a cluster that does what tests want."""

from __future__ import annotations

import threading

import pytest

from handssl.execution.supervision.outcome_file import Told
from handssl.ledger import Ledger
from handssl.service.dispatch.attempt import Watcher
from handssl.service.dispatch.driver import JobWorkspace
from handssl.service.dispatch.outcome import Outcome, finish, put_back
from handssl.service.dispatch.ray_jobs import Attempt
from handssl.service.queue.admission import Limits, admit
from handssl.service.queue.job import JobRequest
from handssl.service.queue.lease import Lease
from handssl.service.queue.queue import Queue
from tests.service.services import FakeCluster, study


class Scene:
    """A job that has been taken out of the queue, and the process that watches it."""

    def __init__(self, folder, **asked):
        self.queue, self.cluster, self.told = Queue(f"sqlite:///{folder}/q.db"), FakeCluster(), []
        [(_job, _)] = self.queue.submit([JobRequest(study=study(), **asked)], user="ada")
        self.lease = Lease(self.queue.database)
        assert self.lease.take()
        [self.job] = admit(self.queue, self.lease, Limits(), lambda *_: None)
        self.used_hours, self.folder = 0.0, folder
        home = JobWorkspace(folder, lambda: "http://127.0.0.1:5000", "python")
        self.watcher = Watcher(
            self.queue,
            self.cluster,
            home,
            lambda job: self.used_hours,
            self.told.append,
            poll_s=0.01,
            patience_s=0.3,
        )

    def ends(self, attempt: Attempt | None = None):
        """Watch to the end, which comes when the cluster says so, and return the job."""
        if attempt:
            self.cluster.attempts[self.job.submission] = attempt
        outcome = Outcome(**self.watcher.watch(self.job.id, self.job.attempt))
        return finish(self.queue, self.job.id, self.job.attempt, outcome)


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


def test_an_attempt_is_submitted_once_however_often_the_step_runs(scene):
    for _ in range(3):
        scene.watcher.submit(scene.job.id, 1)
    assert scene.cluster.submitted == [f"handssl-{scene.job.id}-1"]
    written = (scene.folder / "jobs" / scene.job.id / "study.yaml").read_text()
    assert "name: x" in written


def test_one_that_is_not_wanted_any_more_is_not_submitted(scene):
    scene.queue.cancel(scene.job.id)
    scene.watcher.submit(scene.job.id, 1)
    assert scene.cluster.submitted == []
    assert scene.ends().state == "cancelled"


def test_a_ray_that_is_away_is_waited_for(scene):
    scene.cluster.away = True
    threading.Timer(0.1, lambda: setattr(scene.cluster, "away", False)).start()
    scene.watcher.submit(scene.job.id, 1)
    assert len(scene.cluster.submitted) == 1


@pytest.mark.parametrize(
    ("code", "state", "cause"),
    [(0, "succeeded", ""), (1, "failed", "trials"), (2, "failed", "input"), (3, "failed", "input")],
)
def test_exit_codes_of_the_driver_decide(scene, code, state, cause):
    outcome = scene.watcher.home.outcome(scene.job.id, 1)
    outcome.parent.mkdir(parents=True)
    Told(code).write(outcome)
    job = scene.ends(Attempt("over", code))
    assert (job.state, job.cause) == (state, cause)


@pytest.mark.parametrize(
    "attempt",
    [
        Attempt("over", -9),
        Attempt("over", 137),
        Attempt("over", None),
        Attempt("unknown"),
        Attempt("stopped"),
        Attempt("over", 75),
        Attempt("over", 69),
        Attempt("over", 1),  # Ray's core ends its driver so, which then leaves no outcome
    ],
)
def test_what_was_lost_is_queued_again(scene, attempt):
    job = scene.ends(attempt)
    assert (job.state, job.lost) == ("queued", 1)
    assert "queued again" in job.message


def test_a_ray_that_stays_away_is_taken_for_lost(scene):
    scene.cluster.away = True
    job = scene.ends()
    assert (job.state, job.lost) == ("queued", 1)
    assert "nobody answers" in job.message


@pytest.mark.parametrize(("verb", "state"), [("cancel", "cancelled"), ("pause", "paused")])
def test_what_was_asked_stops_the_driver(scene, verb, state):
    scene.watcher.submit(scene.job.id, 1)
    getattr(scene.queue, verb)(scene.job.id)
    assert scene.ends().state == state
    assert scene.cluster.stopped == [scene.job.submission]


@pytest.mark.parametrize(("verb", "state"), [("cancel", "cancelled"), ("pause", "paused")])
def test_a_driver_that_is_to_end_is_not_forgotten_while_ray_is_away(scene, verb, state):
    def back(text):
        scene.told.append(text)
        scene.cluster.away = False

    scene.watcher.submit(scene.job.id, 1)
    scene.cluster.away, scene.watcher.notify = True, back
    getattr(scene.queue, verb)(scene.job.id)
    assert scene.ends().state == state
    assert "will be stopped when Ray answers again" in scene.told[-1]
    assert scene.cluster.stopped == [scene.job.submission]


def test_a_job_that_was_never_started_is_cancelled_though_ray_is_away(scene):
    scene.cluster.away = True
    scene.queue.cancel(scene.job.id)
    scene.watcher.submit(scene.job.id, 1)
    assert scene.ends().state == "cancelled"


def test_a_time_limit_stops_the_driver_and_says_so(tmp_path):
    scene = Scene(tmp_path, time_limit_s=60)
    scene.watcher.submit(scene.job.id, 1)
    scene.cluster.ran_s = 61.0
    job = scene.ends()
    assert (job.state, job.cause, job.used_s) == ("failed", "time", 61.0)
    assert job.message == "its time limit of 60 s is over"


def test_the_time_limit_counts_what_drivers_have_run_and_not_what_they_waited(tmp_path):
    scene = Scene(tmp_path, time_limit_s=0.001)
    scene.watcher.submit(scene.job.id, 1)
    scene.cluster.ran_s = 0.0005  # of much longer that it is out of the queue
    job = scene.ends(Attempt("over", None))
    assert (job.state, job.used_s) == ("queued", 0.0005)


def test_an_attempt_that_was_taken_for_lost_and_still_runs_is_ended_before_the_next(scene):
    scene.watcher.submit(scene.job.id, 1)
    finish(scene.queue, scene.job.id, 1, Outcome("lost", message="silent"))
    [job] = admit(scene.queue, scene.lease, Limits(), lambda *_: None)
    scene.watcher.submit(job.id, 2)
    first, second = (f"handssl-{job.id}-{number}" for number in (1, 2))
    assert scene.cluster.stopped == [first]
    assert scene.cluster.submitted == [first, second]


def test_jobs_whose_drivers_end_with_the_service_have_lost_nothing(scene):
    put_back(scene.queue)
    job = scene.queue.get(scene.job.id)
    assert (job.state, job.lost, job.attempt) == ("queued", 0, 1)
    assert "continues when the service is back" in job.message
    # The attempt that DBOS finds again at the next start is over, and says nothing.
    outcome = Outcome(**scene.watcher.watch(job.id, 1))
    assert finish(scene.queue, job.id, 1, outcome).state == "queued"


def test_a_budget_stops_the_driver_and_says_so(tmp_path):
    scene = Scene(tmp_path, gpu_hours=2.0)
    scene.watcher.submit(scene.job.id, 1)
    scene.used_hours = 2.5
    job = scene.ends()
    assert (job.state, job.cause, job.message) == ("failed", "budget", "its 2 GPU hours are used")


def test_a_study_that_somebody_has_paused_is_a_paused_job(scene):
    Ledger(scene.folder).ask("x", "pause")
    job = scene.ends(Attempt("over", 75))
    assert job.state == "paused"
    assert "handssl study pause" in job.message


def test_an_attempt_that_is_no_longer_the_jobs_own_is_left_alone(scene):
    finish(scene.queue, scene.job.id, 1, Outcome("lost", message="gone"))
    assert Outcome(**scene.watcher.watch(scene.job.id, 1)).reason == "over"
    assert scene.queue.get(scene.job.id).state == "queued"


def test_the_command_line_of_a_driver_is_one_that_handssl_takes(scene):
    import shlex

    from handssl.cli.app import cli

    how = {
        "workers": 2,
        "hang_timeout_s": 60.0,
        "max_concurrent_trials": 3,
        "trials_per_gpu": 1,
        "retries": 0,
    }
    document = {"study": study(), "how": how | {"checkpoint_bytes": 10**9}}
    line = scene.watcher.home.write(scene.job, document)
    words = shlex.split(line.partition("exec ")[2].partition(" >>")[0])
    assert words[:3] == ["python", "-m", "handssl.cli"]
    context = cli.make_context("handssl", words[3:])
    group = cli.commands["study"].make_context("study", words[4:], parent=context)
    run = cli.commands["study"].commands["run"].make_context("run", words[5:], parent=group)
    assert run.params["workers"] == 2
    assert run.params["patience_s"] == 120.0
    assert run.params["checkpoint_bytes"] == str(10**9)


def test_an_earlier_driver_that_takes_long_to_end_is_looked_at_now_and_then(scene, monkeypatch):
    pauses, stops = [], []

    def pause():
        pauses.append(len(stops))
        if len(pauses) == 3:
            scene.cluster.attempts[scene.job.submission] = Attempt("stopped")

    def stop(submission):
        stops.append(submission)
        assert len(stops) < 10, "Ray is asked again and again without a pause"

    scene.watcher.submit(scene.job.id, 1)
    finish(scene.queue, scene.job.id, 1, Outcome("lost", message="silent"))
    [job] = admit(scene.queue, scene.lease, Limits(), lambda *_: None)
    monkeypatch.setattr(scene.watcher, "_pause", pause)
    monkeypatch.setattr(scene.cluster, "stop", stop)
    scene.watcher.submit(job.id, 2)
    assert pauses == [1, 2, 3]
    assert scene.cluster.submitted[-1] == job.submission


def test_a_job_that_was_queued_before_options_were_renamed_has_its_options(scene):
    document = {"study": study(), "how": {"workers": 1, "at_once": 3, "silence_s": 60.0}}
    line = scene.watcher.home.write(scene.job, document)
    assert "--max-concurrent-trials 3 " in line
    assert "--hang-timeout 60.0 " in line
