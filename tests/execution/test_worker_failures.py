"""What Ray's errors mean: all of the installed Ray, each said in plain words."""

from __future__ import annotations

import pytest
import ray.exceptions
from ray.air.execution._internal import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RpcError

from handssl.execution.tune.actor_failures import as_actor_error
from handssl.execution.worker_failures import MEANINGS, describe_failure, meaning_of


def of_ray():
    found = [one for one in vars(ray.exceptions).values() if isinstance(one, type)]
    return {one.__name__: one for one in found if issubclass(one, RayError)}


def test_every_error_of_the_installed_ray_has_a_meaning():
    assert sorted(MEANINGS) == sorted(of_ray())


def test_an_error_is_known_by_its_class_and_through_those_it_has_caused():
    caused = RuntimeError("Caught unexpected exception")
    caused.__cause__ = OutOfMemoryError("1 worker(s) were killed")
    assert meaning_of(caused) == MEANINGS["OutOfMemoryError"]

    class NewError(RpcError):
        """Of a Ray to come."""

    assert meaning_of(NewError("x")) == MEANINGS["RpcError"]
    assert meaning_of(ValueError("ours")) is None


@pytest.mark.parametrize("name", sorted(MEANINGS))
def test_tune_sees_the_loss_of_a_process_as_the_end_of_its_actor(name):
    """Tune itself knows two classes, and ends the whole study at any other."""
    kind = of_ray()[name]
    told = type(name, (kind,), {"__init__": lambda self: None, "__str__": lambda self: "text"})
    lost = MEANINGS[name].kind in ("trial", "node") or issubclass(kind, RayActorError)
    assert isinstance(as_actor_error(told()), RayActorError) == lost


def test_a_loss_by_memory_pressure_is_said_as_such():
    given = as_actor_error(OutOfMemoryError("1 worker(s) were killed"))
    text = f"Traceback ...\nray.exceptions.RayActorError: {given}\nmore of it"
    assert describe_failure(text) == "its node ran out of memory and ended it"


def test_the_hook_into_tune_is_where_it_was():
    assert callable(RayActorManager._actor_task_failed)
