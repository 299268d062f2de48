"""Ranks started for a moment: they work together, and end together."""

import os

import pytest
import torch

from handssl.distributed import rank, sum_over_ranks, world_size
from handssl.distributed.local_ranks import RanksError, spawn_ranks


def summed(number):
    total = sum_over_ranks(torch.tensor([float(number + rank())]))
    return world_size(), float(total)


def fail_on_one():
    if rank() == 1:
        raise ValueError("one is no good")
    sum_over_ranks(torch.ones(1))


def die_on_one():
    if rank() == 1:
        os._exit(3)
    sum_over_ranks(torch.ones(1))


def never_answer():
    import threading

    threading.Event().wait()


def test_every_rank_returns_what_it_found():
    assert spawn_ranks(summed, 2, 10) == [(2, 21.0), (2, 21.0)]


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (fail_on_one, "rank 1 of 2: ValueError: one is no good"),
        (die_on_one, "rank 1 of 2 ended without a result"),
    ],
)
def test_a_rank_that_fails_or_is_killed_is_named_and_the_others_are_ended(work, said):
    with pytest.raises(RanksError, match=said):
        spawn_ranks(work, 2)


def test_ranks_that_do_not_answer_are_ended_when_the_time_is_over():
    with pytest.raises(RanksError, match="did not answer in time"):
        spawn_ranks(never_answer, 2, timeout_s=3)
