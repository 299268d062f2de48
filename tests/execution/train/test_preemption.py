"""How many workers go on after a loss, what is waited for, what is said; without a cluster."""

from __future__ import annotations

import pytest

from handssl.errors import InputError, InterruptedStudyError
from handssl.execution.cluster.nodes import FreeResources
from handssl.execution.train import executor, worker_scaling
from handssl.execution.train.worker_group import GroupLostError
from handssl.execution.train.worker_scaling import Waiting, Workers, WorkerScaling
from handssl.training.config import PretrainConfig
from handssl.training.memory import MemoryShortError


class World:
    """Rooms as they are found one after the other, the last one kept; and the messages."""

    def __init__(self, *rooms: tuple[int, int]) -> None:
        self.rooms, self.said, self.ticks = list(rooms), [], 0
        self.stop_after = 10_000

    def room(self, resource: str) -> FreeResources:
        return FreeResources(*(self.rooms.pop(0) if len(self.rooms) > 1 else self.rooms[0]))

    def tick(self) -> None:
        self.ticks += 1

    @property
    def waiting(self) -> Waiting:
        return Waiting(
            must_stop=lambda: self.ticks >= self.stop_after,
            on_tick=self.tick,
            notify=lambda text, again: self.said.append((text, again)),
            on_step=lambda done, total: None,
        )


@pytest.fixture
def staffed(monkeypatch):
    def build(world, asked, *, can_grow=True, **config):
        monkeypatch.setattr(worker_scaling, "room", world.room)
        monkeypatch.setattr(worker_scaling, "_PERIOD_S", 0.0)
        config = PretrainConfig(**{"composition": ["rotate"], "global_batch": 16} | config)
        return WorkerScaling(
            Workers.of(asked), config, resource="CPU", can_grow=can_grow, waiting=world.waiting
        )

    return build


def test_a_run_starts_with_what_was_asked_and_goes_on_with_what_is_left(staffed):
    world = World((4, 4), (3, 3), (4, 4), (1, 1))
    plan = staffed(world, 4)
    assert [plan.next() for _ in range(4)] == [4, 3, 4, 1]
    assert world.said == []


def test_below_the_least_it_says_what_it_waits_for_and_waits(staffed):
    world = World((1, 1), (1, 1), (2, 2))
    assert staffed(world, (2, 4)).next() == 2
    text = "waiting for workers: 1 CPUs, expected 2 or more (the least that was asked for)"
    assert world.said == [(text, 0)]


def test_what_is_still_held_by_the_last_group_is_waited_for(staffed):
    world = World((1, 2), (1, 2), (2, 2))
    assert staffed(world, 2).next() == 2
    assert world.said == []


def test_what_others_hold_is_not_waited_for_longer_than_to_settle(staffed, monkeypatch):
    monkeypatch.setattr(worker_scaling, "SETTLE_S", 0.0)
    plan = staffed(World((4, 4), (3, 4)), 4)
    assert (plan.next(), plan.next()) == (4, 3)


def test_auto_is_what_there_is_at_each_start(staffed):
    plan = staffed(World((3, 3), (2, 2), (5, 5)), None)
    assert [plan.next() for _ in range(3)] == [3, 2, 5]


def test_no_worker_is_without_a_row(staffed):
    assert staffed(World((8, 8)), None, global_batch=4).next() == 4
    assert staffed(World((8, 8)), None, global_batch=8, accumulation=4).next() == 2
    with pytest.raises(InputError, match=r"--workers: expected at most 2, a row of .* got 3"):
        staffed(World((8, 8)), 3, global_batch=8, accumulation=4)


def test_local_statistics_keep_their_number_of_workers(staffed):
    world = World((3, 3), (2, 2), (5, 5))
    plan = staffed(world, None, batch_norm="local")
    assert [plan.next(), plan.next()] == [3, 3]
    assert "expected 3 or more (batch_norm: local" in world.said[0][0]


def test_waiting_can_be_interrupted(staffed):
    world = World((1, 1))
    world.stop_after = 3
    with pytest.raises(InterruptedStudyError, match="stopped while it waited for workers"):
        staffed(world, (2, 2)).next()


def test_waiting_ends_and_says_for_what_it_was(staffed, monkeypatch):
    monkeypatch.setattr(worker_scaling, "WAIT_S", 0.0)
    with pytest.raises(InterruptedStudyError, match=r"1 CPUs, expected 2 or more.*gave up after"):
        staffed(World((1, 1)), (2, 2)).next()


def test_a_machine_of_its_own_does_not_grow_and_is_not_waited_for(staffed):
    with pytest.raises(InputError, match="expected at most 1, the CPUs of the cluster, got 2"):
        staffed(World((1, 1)), 2, can_grow=False).next()


def test_out_of_memory_asks_for_more_workers_with_the_numbers(staffed):
    world = World((4, 4), (2, 2), (2, 2), (3, 3))
    plan = staffed(world, 4)
    assert [plan.next(), plan.next()] == [4, 2]
    plan.too_little_memory(2, "rank 0 of 2 with 8 of 16 rows a step: 3 GB")
    assert plan.next() == 3
    assert "expected 3 or more (with 2 a step ran out of memory (rank 0 of 2" in world.said[0][0]


def test_out_of_memory_with_all_there_are_offers_accumulation(staffed):
    plan = staffed(World((2, 2)), 2)
    plan.next()
    with pytest.raises(InputError, match=r"16 rows on 2 workers .*pretrain\.accumulation"):
        plan.too_little_memory(2, "rank 0 of 2 with 8 of 16 rows a step")


def test_out_of_memory_on_a_machine_alone_ends_with_the_numbers(staffed):
    plan = staffed(World((2, 2), (1, 1)), 2, can_grow=False)
    plan.next()
    plan.next()
    plan.too_little_memory(1, "rank 0 of 1 with 16 of 16 rows a step")
    with pytest.raises(InputError, match=r"expected 2 CPUs, there are 1; .*accumulation"):
        plan.next()


class Scripted:
    """A group that tells rows and ends as it is told to."""

    script: list = []  # noqa: RUF012
    sizes: list = []  # noqa: RUF012

    def __init__(self, trial, size, *, use_gpu):
        Scripted.sizes.append(size)
        self.begun, self.step, self.joined, self.nodes = 0, None, [None] * size, frozenset()
        self.copied = []

    def rows(self, must_stop, on_tick):
        epochs, end = Scripted.script.pop(0)
        on_tick()
        yield from ((epoch, {"loss": 1.0 / epoch}) for epoch in range(1, epochs + 1))
        if end is not None:
            raise end

    def close(self):
        pass


@pytest.fixture
def scripted(staffed, monkeypatch):
    def rows(world, *script):
        monkeypatch.setattr(executor, "Group", Scripted)
        monkeypatch.setattr(executor, "draining", frozenset)
        Scripted.script, Scripted.sizes = list(script), []
        run = executor._Run({"fence": None}, staffed(world, 2), world.waiting, use_gpu=False)
        return [epoch for epoch, _ in run.rows()]

    return rows


def test_every_epoch_is_reported_once_whatever_ends_the_groups(scripted):
    world = World((2, 2), (1, 1))
    script = [(2, GroupLostError("x")), (4, InterruptedStudyError("notice")), (6, None)]
    assert scripted(world, *script) == [1, 2, 3, 4, 5, 6]
    assert Scripted.sizes == [2, 1, 1]
    assert [text.split(";")[0] for text, _ in world.said] == [
        "workers were lost",
        "a worker was asked to stop",
    ]


def test_losses_without_an_epoch_in_between_end_it(scripted):
    script = [(2, GroupLostError("the same again"))] * 9
    with pytest.raises(GroupLostError, match="the same again"):
        scripted(World((2, 2)), *script)
    assert len(Scripted.sizes) == 1 + executor.MAX_LOSSES_IN_A_ROW


def test_a_step_too_large_for_the_memory_is_not_tried_on_as_few_again(scripted):
    world = World((2, 2), (1, 1), (1, 1), (2, 2))
    lost, short = GroupLostError("x"), MemoryShortError("rank 0 of 1")
    assert scripted(world, (1, lost), (1, short), (3, None)) == [1, 2, 3]
    assert Scripted.sizes == [2, 1, 2]


def test_a_stop_that_was_asked_for_is_one(scripted):
    world = World((2, 2))
    world.stop_after = 1
    with pytest.raises(InterruptedStudyError, match="asked"):
        scripted(world, (2, InterruptedStudyError("asked")))
