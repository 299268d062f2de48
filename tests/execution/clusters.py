"""A Ray cluster of several nodes on this machine, every node with a real raylet, for fault tests.

Run as a program it is the cluster: it starts a head without CPUs and nodes with one CPU each, and
obeys the lines it reads. All its processes, and the drivers that tests start, have its folder as
working directory: so processes left over are found, also where Ray has rewritten a command line.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

TIMEOUT_S = 240.0
HERE = Path(__file__).parent
PATH = "HANDSSL_TEST_PATH_"  # and a node's number: what it has as PYTHONPATH


class LocalCluster:
    """Client of the program below.

    Args:
        folder: Of the cluster.
        nodes: How many, besides the head.
        dashboard: Whether there is one.
        paths: Where nodes import from that do not have this checkout, by number.
    """

    def __init__(
        self,
        folder: Path,
        nodes: int,
        *,
        dashboard: bool = False,
        paths: Mapping[int, Path] | None = None,
    ) -> None:
        self.folder = folder
        self.env = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]),
            "OMP_NUM_THREADS": "1",
            "RAY_TMPDIR": str(folder),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_metrics_report_interval_ms": "500",
            **{f"{PATH}{number}": str(path) for number, path in (paths or {}).items()},
        }
        self._server = self.start(
            [str(HERE / "clusters.py"), str(nodes), *["dashboard"] * dashboard]
        )
        try:
            self.address, self.dashboard = self._answer().split()
        except AssertionError:
            self.end(self._server)
            raise
        self.raylets = {i: int(self._ask("pid", i)) for i in range(1, nodes + 1)}

    def start(self, words: list[str]) -> subprocess.Popen[str]:
        """Start a Python program in the cluster's folder."""
        with (self.folder / "errors.txt").open("a") as errors:
            return subprocess.Popen(
                [sys.executable, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=self.env,
                cwd=self.folder,
            )

    def drain(self, node: int) -> None:
        """Tell a node that it will be taken away in ten minutes, as a cloud's notice does."""
        self._ask("drain", node)

    def add(self, node: int) -> None:
        """Start a node in the place of one that is gone."""
        self.raylets[node] = int(self._ask("add", node))

    def remove(self, node: int) -> None:
        """End a node and whatever is left of it."""
        self._ask("remove", node)

    def kill_node(self, node: int) -> None:
        """SIGKILL a raylet and all that it had started at once, as a loss of power does."""
        raylet = psutil.Process(self.raylets[node])
        for process in [raylet, *raylet.children(recursive=True)]:
            process.kill()

    def kill_raylet(self, node: int) -> None:
        """SIGKILL a raylet alone; what it had started finds out by itself."""
        self._ask("kill", node)

    def actors(self, name: str) -> list[psutil.Process]:
        """Return the processes of an actor class; a title that is being rewritten is missed."""
        return [p for p in self.processes() if name in _title(p)]

    def find(self, name: str, count: int = 1) -> list[psutil.Process]:
        """Return so many processes of an actor class, as soon as they are all seen."""
        return self._seen(name, lambda found: len(found) == count, f"{count} of {name}")

    def find_any(self, name: str) -> psutil.Process:
        """Return one process of an actor class, of however many."""
        return self._seen(name, lambda found: len(found) > 0, f"any of {name}")[0]

    def _seen(
        self, name: str, enough: Callable[[list[psutil.Process]], bool], what: str
    ) -> list[psutil.Process]:
        found: list[psutil.Process] = []

        def are_seen() -> bool:
            found[:] = self.actors(name)  # looked at once: the next look may miss one of them
            return enough(found)

        wait_until(are_seen, what)
        return found

    def nodes_with(self, name: str, count: int = 1) -> list[int]:
        """Return the nodes of so many processes of an actor class."""
        return self.nodes_of(self.find(name, count))

    def nodes_of(self, processes: list[psutil.Process]) -> list[int]:
        """Return the node of each process."""
        nodes = {pid: node for node, pid in self.raylets.items()}
        return [nodes[process.ppid()] for process in processes]

    def processes(self) -> list[psutil.Process]:
        """Return everything that runs in the cluster's folder."""
        return [p for p in psutil.process_iter() if _folder(p) == str(self.folder)]

    def close(self) -> None:
        """End everything; nothing may be left."""
        self.end(self._server)
        psutil.wait_procs(self.processes(), timeout=20)
        alive = self.processes()
        titles = [_title(p) for p in alive]
        for process in alive:
            process.kill()
        assert titles == []

    @staticmethod
    def end(process: subprocess.Popen[str]) -> None:
        """Close the pipes of a program, which ends at that, and wait for it."""
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.wait(TIMEOUT_S)
        process.stdout.close()

    def _ask(self, verb: str, node: int) -> str:
        self._server.stdin.write(f"{verb} {node}\n")
        self._server.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        line = self._server.stdout.readline().strip()
        assert line, (self.folder / "errors.txt").read_text()[-4000:]
        return line


@contextlib.contextmanager
def local_cluster(nodes: int, **options: Any) -> Iterator[LocalCluster]:
    """Start a cluster and end it. Its folder is a short one: names of sockets have a limit."""
    with tempfile.TemporaryDirectory(prefix="hs-") as folder:
        cluster = LocalCluster(Path(folder).resolve(), nodes, **options)
        try:
            yield cluster
        finally:
            cluster.close()


def wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def _folder(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return process.cwd()
    return ""


def _title(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def _serve(count: int, *, dashboard: bool) -> None:
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    head = node | {"num_cpus": 0, "include_dashboard": dashboard}
    head["dashboard_agent_listen_port"] = 0  # or a second cluster finds the fixed one taken
    cluster = Cluster(initialize_head=True, head_node_args=head, shutdown_at_exit=True)
    nodes = {i: cluster.add_node(wait=False, **_named(node, i)) for i in range(1, count + 1)}
    cluster.wait_for_nodes(TIMEOUT_S)
    url = cluster.head_node.webui_url or "none"
    print(cluster.address, f"http://{url}" if dashboard else url, flush=True)
    for line in sys.stdin:
        verb, number = line.split()
        print(_obey(cluster, nodes, node, verb, int(number)), flush=True)
    cluster.shutdown()


def _named(options, number):
    """Tell a node its number, as a real one has a name, and where its packages are."""
    variables = {"HANDSSL_TEST_NODE": str(number)}
    if path := os.environ.get(f"{PATH}{number}"):
        variables["PYTHONPATH"] = path
    return options | {"env_vars": variables}


def _obey(cluster, nodes, options, verb, number):
    if verb == "drain":
        return _drain(cluster, nodes[number].node_id)
    if verb == "remove":
        cluster.remove_node(nodes[number], allow_graceful=False)
        return "removed"
    if verb == "kill":
        raylet = nodes[number].all_processes["raylet"][0].process
        raylet.kill()
        raylet.wait()  # its workers look for its process, and a zombie still is one
        return "killed"
    if verb == "add":
        nodes[number] = cluster.add_node(**_named(options, number))
    return nodes[number].all_processes["raylet"][0].process.pid


def _drain(cluster, node_id):
    from ray._raylet import GcsClient
    from ray.core.generated.autoscaler_pb2 import DrainNodeReason

    deadline_ms = int(time.time() * 1000) + 600_000
    reason = DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
    accepted, refused = GcsClient(address=cluster.address).drain_node(
        node_id, reason, "preempted", deadline_ms
    )
    assert accepted, refused
    return "draining"


if __name__ == "__main__":
    _serve(int(sys.argv[1]), dashboard="dashboard" in sys.argv[2:])
