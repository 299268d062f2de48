"""A port that stays the same: drivers that outlive the service know no other."""

from __future__ import annotations

import socket
import threading

from handssl.service.dispatch.managed_subprocess import free_port
from handssl.service.dispatch.persistent_port import PersistentPort
from handssl.service.dispatch.programs import mlflow_server

HERE = "127.0.0.1"


def port_of(server) -> int:
    """Return where a server would be started now."""
    return int(server._command(free_port()).url.rpartition(":")[2])


def test_a_program_has_the_same_port_at_every_start(tmp_path):
    first = PersistentPort(tmp_path / "port", HERE).take(free_port())
    assert PersistentPort(tmp_path / "port", HERE).take(free_port()) == first


def test_one_that_still_holds_the_port_is_waited_for(tmp_path):
    kept = PersistentPort(tmp_path / "port", HERE)
    with socket.create_server((HERE, 0)) as before:
        kept.keep(before.getsockname()[1])
        threading.Timer(0.2, before.close).start()
        assert kept.take(1, wait_s=60.0) == kept.number != 1


def test_a_port_that_another_program_has_taken_is_given_up_for_good(tmp_path):
    kept, offered = PersistentPort(tmp_path / "port", HERE), free_port()
    with socket.create_server((HERE, 0)) as other:
        kept.keep(other.getsockname()[1])
        assert kept.take(offered, wait_s=0.0) == offered
    assert kept.take(free_port()) == offered


def test_a_file_that_holds_no_port_is_written_anew(tmp_path):
    for text in ("", "x", "0", "70000"):
        (tmp_path / "port").write_text(text)
        assert PersistentPort(tmp_path / "port", HERE).take(8643, wait_s=0.0) == 8643


def test_mlflow_keeps_its_port_until_it_is_given_another(tmp_path):
    first, second, third = free_port(), free_port(), free_port()
    assert port_of(mlflow_server(tmp_path, tmp_path, first_port=first)) == first
    assert port_of(mlflow_server(tmp_path, tmp_path, first_port=second)) == first
    assert port_of(mlflow_server(tmp_path, tmp_path, port=third, first_port=second)) == third
    assert port_of(mlflow_server(tmp_path, tmp_path, first_port=first)) == third
