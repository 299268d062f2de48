"""A PostgreSQL server of one's own: in a folder of its own, on a Unix socket, gone afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psutil
import pytest

USER = "postgres"


class PostgresServer:
    """Starts, kills and ends a server; its data outlive a kill."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="handssl-pg-"))
        if os.getuid() == 0:  # the server refuses to run as root
            shutil.chown(self.folder, USER, USER)
        words = ("-D", str(self.folder / "data"), "-U", USER, "--auth=trust", "--no-sync")
        self._run("initdb", *words)
        self.start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"postgresql://{USER}@/{USER}?host={self.folder}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-k {self.folder} -c listen_addresses= -c fsync=off"
        log = str(self.folder / "log")
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-l", log, "-o", options, "-w", "start")

    def kill(self) -> None:
        """SIGKILL all of it."""
        leader = psutil.Process(int(self._pid_file.read_text().split()[0]))
        family = [leader, *leader.children(recursive=True)]
        for process in family:
            process.kill()
        psutil.wait_procs(family, timeout=60)
        self._pid_file.unlink()

    def stop(self) -> None:
        """End it."""
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-m", "immediate", "-w", "stop")

    def close(self) -> None:
        """End it for good."""
        if self._pid_file.exists():
            self.stop()
        shutil.rmtree(self.folder)

    @property
    def _pid_file(self) -> Path:
        return self.folder / "data" / "postmaster.pid"

    def _run(self, program: str, *words: str) -> None:
        who = {"user": USER} if os.getuid() == 0 else {}
        # Not through pipes: the server would inherit and keep them open.
        subprocess.run(
            [str(self._programs / program), *words],
            check=True,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
            **who,
        )


def postgres_server() -> PostgresServer:
    """Return a server of one's own; skip the test where the programs are not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        refuse = pytest.fail if os.environ.get("HANDSSL_NO_SKIPS") == "1" else pytest.skip
        refuse("needs PostgreSQL: apt-get install postgresql")
    return PostgresServer(found[-1].parent if found else Path(on_path).parent)
