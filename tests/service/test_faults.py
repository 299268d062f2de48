"""Every job ends once if a component fails: service, driver, Ray's head, a node, PostgreSQL.

HANDSSL_SERVICE_ROUNDS: rounds over a queue of twelve studies, 30 by default.
HANDSSL_SERVICE_TABLE: a Markdown file that gets what was counted.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
import requests

from handssl.ledger import Ledger
from tests.execution.clusters import LocalCluster, local_cluster
from tests.postgresql import postgres_server
from tests.service.lab import TIMEOUT_S, Lab, lab, leases, require_exactly_once, short_study

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
ROUNDS = int(os.environ.get("HANDSSL_SERVICE_ROUNDS", "30"))
JOBS, ROUND_S = 12, 900.0  # of both cores alone a round needs three minutes


def kill_service(of: Lab) -> None:
    of.process.kill()
    of.process.wait()
    of.start()


def restart_service(of: Lab) -> None:
    of.process.send_signal(signal.SIGTERM)
    of.process.wait(120)
    of.start()


def kill_driver(of: Lab) -> None:
    def is_killed() -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):  # it may end at that very moment
            for driver in of.drivers()[:1]:
                driver.kill()
                return True
        return False

    of.until(is_killed, "a driver")


def kill_head(of: Lab) -> None:
    of.kill_ray()


def worked_off(of: Lab, names: list[str], *, timeout_s: float = TIMEOUT_S) -> Counter[str]:
    """Wait for the end of all jobs, end the service, and return what was counted."""
    states = of.finish(names, timeout_s=timeout_s)
    assert set(states.values()) == {"succeeded"}, (states, of.log())
    counted = require_exactly_once(of, names)
    of.end()
    assert leases(of.database) == 0
    return counted


def test_every_job_ends_once_when_service_driver_and_head_are_killed(tmp_path):
    draw = random.Random("one of each")
    with lab(tmp_path / "lab") as of:
        names = of.submit([short_study(number, epochs=12) for number in range(4)])
        for kill in (kill_service, kill_driver, kill_head):
            of.until(of.drivers, "a driver")
            time.sleep(draw.uniform(0, 6))  # the moment is what is random
            kill(of)
        counted = worked_off(of, names)
    assert counted["lost"] == counted["attempts"] - 4
    assert 1 <= counted["lost"] <= 3  # one driver, and at most two that ran on the head


def test_a_killed_postgresql_is_waited_for_and_stand_bys_take_over(tmp_path):
    with contextlib.closing(postgres_server()) as server:
        env = {"HANDSSL_LEDGER": server.url}  # queue and ledger may share a database
        with lab(tmp_path / "lab", database=server.url, env=env) as of:
            names = of.submit([short_study(number, epochs=60) for number in range(3)])
            with contextlib.closing(Ledger(of.folder, server.url)) as ledger:
                of.until(lambda: sum(one.epoch > 0 for one in ledger.all()) >= 2, "both drivers")
            server.kill()
            of.until(lambda: "waiting, up to 10 minutes" in of.log(), "a driver that waits")
            server.start()
            first, second = of.process, of.start(port=of.standby_port)
            # One that stands still loses the lease, finds that out, and stands by.
            first.send_signal(signal.SIGSTOP)
            of.until(lambda: of.dispatcher() == second.pid, "the stand-by")
            first.send_signal(signal.SIGCONT)
            of.until(lambda: "this one stands by" in of.log(), "the first")
            # It begins anew: its greeting stands in the log once more, and then it answers.
            of.until(lambda: of.greetings(of.port) >= 2, "the first anew")
            of.until(lambda: of.answers(of.port), "the first anew")
            second.kill()
            second.wait()
            began_s = time.monotonic()
            of.until(lambda: of.dispatcher() == first.pid, "the first again")
            assert time.monotonic() - began_s < of.lease_s + 5  # a lease, and a look at it
            counted = worked_off(of, names)
        assert counted["attempts"] == 3  # no driver has ended for it


def test_every_job_ends_once_when_a_worker_node_is_lost(tmp_path):
    with (
        local_cluster(2, dashboard=True) as cluster,
        lab(tmp_path / "lab", "--ray", cluster.dashboard, env=cluster.env) as of,
    ):
        names = of.submit([short_study(number, epochs=60) for number in range(2)])
        of.until(lambda: "ray_handssl_views_per_second" in exported(cluster), "Ray's exporter")
        [node] = cluster.nodes_of([cluster.find_any("PretrainTrainable")])
        cluster.kill_node(node)
        cluster.remove(node)
        worked_off(of, names)
        assert any("it is tried again in another process" in of.job_log(name) for name in names)


def exported(cluster: LocalCluster) -> str:
    """Return what Ray's own exporters tell of all nodes, as Prometheus finds them."""
    file = cluster.folder / "ray" / "prom_metrics_service_discovery.json"
    targets = json.loads(file.read_text())[0]["targets"] if file.exists() else []
    found = []
    for target in targets:
        with contextlib.suppress(requests.RequestException):
            found.append(requests.get(f"http://{target}/metrics", timeout=5).text)
    return "\n".join(found)


KILLS = {"service": kill_service, "driver": kill_driver, "head": kill_head}
KILLS["restart"] = restart_service
VICTIMS = [*KILLS, "postgres", "node"]


@pytest.fixture(scope="module")
def rows():
    return Counter[str]()


@pytest.mark.slow
@pytest.mark.timeout(ROUND_S + 300)
@pytest.mark.parametrize("number", range(ROUNDS))
def test_every_job_of_a_queue_of_twelve_ends_once(number, rows, tmp_path):
    victim = VICTIMS[number % len(VICTIMS)]
    counted = one_round(tmp_path, victim, random.Random(f"round {number}"))
    rows.update({f"{victim} {name}": count for name, count in counted.items()})
    rows[f"{victim} rounds"] += 1
    tell(rows)


def one_round(folder: Path, victim: str, draw: random.Random) -> Counter[str]:
    with contextlib.ExitStack() as stack:
        options, rest = [], {}
        if victim == "postgres":
            server = stack.enter_context(contextlib.closing(postgres_server()))
            rest |= {"database": server.url, "env": {"HANDSSL_LEDGER": server.url}}
        if victim == "node":
            cluster = stack.enter_context(local_cluster(2, dashboard=True))
            options, rest["env"] = ["--ray", cluster.dashboard], cluster.env
        of = stack.enter_context(lab(folder / "lab", *options, **rest))
        names = of.submit([short_study(number) for number in range(JOBS)])
        of.until(lambda: of.count("succeeded") > 0, "the first end")
        time.sleep(draw.uniform(0, 40))
        if victim == "postgres":
            server.kill()
            server.start()
        elif victim == "node":
            cluster.kill_node(1)
            cluster.remove(1)
            cluster.add(1)
        else:
            KILLS[victim](of)
        counted = worked_off(of, names, timeout_s=ROUND_S)
        assert victim != "restart" or not counted["lost"]  # it was not a loss of theirs
        return counted


def tell(rows: Counter[str]) -> None:
    lines = [
        "| killed | rounds | jobs | succeeded | attempts | lost |",
        "|---|---|---|---|---|---|",
    ]
    for victim in VICTIMS:
        rounds = rows[f"{victim} rounds"]
        found = [rows[f"{victim} {name}"] for name in ("succeeded", "attempts", "lost")]
        lines.append(f"| {victim} | {rounds} | {rounds * JOBS} | {' | '.join(map(str, found))} |")
    text = "\n".join(lines)
    print(text, flush=True)
    if target := os.environ.get("HANDSSL_SERVICE_TABLE"):
        Path(target).write_text(text + "\n")
