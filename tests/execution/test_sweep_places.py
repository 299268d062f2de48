"""A sweep whose surroundings go: a node of the cluster, and the MLflow server, for a while."""

from __future__ import annotations

import json
import os
import sqlite3

import psutil
import pytest

from tests.execution.clusters import local_cluster, wait_until
from tests.execution.scripted import made
from tests.execution.scripted_driver import sweeper
from tests.tracking.test_mlflow_server import Server

EPOCHS = 4
NAMES = ("blur", "cutout", "noise", "sobel", "rotate", "translate")
STUDY = {
    "name": "places",
    "cells": [{"composition": [name]} for name in NAMES],
    "pretrain": {"epochs": EPOCHS, "optimizer": {"warmup_epochs": 1}},
    "halving": None,
    "references": False,
}
pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]


def script(folder, happens):
    path = folder / "script.json"
    path.write_text(json.dumps(happens))
    return str(path)


def test_a_trial_whose_node_disappears_goes_on_at_another(tmp_path, blob_data):
    storage = tmp_path / "runs"
    told = {"script": script(tmp_path, {"contrastive blur": {3: "once hang"}})}
    with local_cluster(nodes=2) as cluster:
        place = {"env": cluster.env, "cwd": cluster.folder, "address": cluster.address}
        with sweeper(STUDY, storage, blob_data, **told, **place) as driver:
            driver.until(lambda event: event["event"] == "Started")

            def hangs():
                return [p.read_text() for p in storage.glob("trials/*/happened-3") if p.read_text()]

            wait_until(hangs, "the trial that hangs")
            raylet = psutil.Process(int(hangs()[0])).ppid()
            (node,) = [number for number, pid in cluster.raylets.items() if pid == raylet]
            cluster.kill_node(node)
            done = driver.finish()
        wait_until(lambda: not cluster.actors("Trainable"), "actors that outlive their driver")
    assert done["outcomes"] == ["completed"] * len(NAMES)
    said = [event["text"] for event in driver.events if event["event"] == "WorkerEvent"]
    assert any("its node is gone" in text for text in said)
    assert all(epochs == [*range(1, EPOCHS + 1)] for epochs in made(storage).values())


def test_an_mlflow_server_killed_in_the_middle_gets_what_it_missed_once(tmp_path, blob_data):
    server = Server(tmp_path)
    server.start()
    os.mkfifo(gate := tmp_path / "gate")
    held = {f"contrastive {NAMES[-1]}": {3: f"gate {gate}"}}
    told = {"script": script(tmp_path, held), "tracking_uri": server.uri}
    try:
        with sweeper(STUDY, tmp_path / "runs", blob_data, **told) as driver:
            ended = [driver.until(lambda event: event["event"] == "Ended") for _ in range(2)]
            server.kill()
            ended += [driver.until(lambda event: event["event"] == "Ended") for _ in range(2)]
            server.start()
            gate.write_text("")
            done = driver.finish()
        assert len(ended) == 4
        assert done["outcomes"] == ["completed"] * len(NAMES)
        with sqlite3.connect(f"file:{tmp_path}/mlflow.db?mode=ro", uri=True) as base:
            points = base.execute(
                "SELECT t.value, m.step FROM metrics m JOIN tags t ON t.run_uuid = m.run_uuid "
                "JOIN tags k ON k.run_uuid = m.run_uuid WHERE t.key = 'trial_id' "
                "AND k.key = 'kind' AND k.value = 'trial' AND m.key = 'median_mm'"
            ).fetchall()
            statuses = base.execute(
                "SELECT DISTINCT r.status FROM runs r JOIN tags k ON k.run_uuid = r.run_uuid "
                "WHERE k.key = 'kind' AND k.value = 'trial'"
            ).fetchall()
    finally:
        server.kill()
    trials = {name for name, _ in points}
    assert len(trials) == len(NAMES)
    assert sorted(points) == sorted(
        (name, step) for name in trials for step in range(1, EPOCHS + 1)
    )
    assert statuses == [("FINISHED",)]
