"""Several processes compute what one computes, in float64."""

import pytest
import torch

from tests.distributed.problems import CASES, ROWS, WORLDS, own_part, solve
from tests.ranks import found_by, solve_together

each_split = pytest.mark.parametrize("parts", ["equal", "unequal"])


@pytest.fixture(scope="module")
def alone():
    """What one process finds."""
    return solve(1, 0)


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """The folder of what several processes find."""
    folder = tmp_path_factory.mktemp("ranks")
    solve_together("tests.distributed.problems", folder, WORLDS)
    return folder


@pytest.fixture(scope="module", params=WORLDS)
def ranks(request, together):
    """What each of several processes finds."""
    return found_by(together, request.param)


@each_split
@pytest.mark.parametrize("case", CASES)
def test_loss_and_averaged_gradient_equal_those_of_one_process(alone, ranks, case, parts):
    expected = alone[f"{case}; {parts}"]
    for found in ranks:
        own = found[f"{case}; {parts}"]
        assert own.keys() == expected.keys()
        for name, value in expected.items():
            assert float((own[name] - value).abs().max()) < 1e-12, name


@each_split
def test_running_statistics_have_the_same_bits_on_every_rank(ranks, parts):
    for case in CASES:
        first, *others = (found[f"{case}; {parts}"] for found in ranks)
        for name in first:
            assert all(torch.equal(first[name], other[name]) for other in others), name


@each_split
def test_gathered_rows_come_in_rank_order_and_their_gradient_is_summed_over_ranks(
    alone, ranks, parts
):
    world = len(ranks)
    weight = sum(rank + 1 for rank in range(world))
    for rank, found in enumerate(ranks):
        rows, slope = found[f"gathered; {parts}"]
        assert torch.equal(rows, alone[f"gathered; {parts}"][0])
        expected = alone[f"gathered; {parts}"][1][own_part(world, rank, parts)] * weight
        assert torch.equal(slope, expected)


@each_split
def test_a_mean_far_from_zero_does_not_cost_the_variance_its_digits(alone, ranks, parts):
    rows = torch.cat([found[f"far; {parts}"] for found in ranks])
    assert rows.shape == (ROWS, 5)
    assert torch.allclose(rows, alone[f"far; {parts}"], atol=2e-3)


@each_split
def test_statistics_without_momentum_are_the_cumulative_average(alone, ranks, parts):
    for found in ranks:
        expected = alone[f"cumulative; {parts}"]
        assert torch.allclose(found[f"cumulative; {parts}"], expected, atol=1e-13, rtol=0)


def test_a_global_batch_of_one_pair_is_refused_on_every_rank(alone, ranks):
    for found in (alone, *ranks):
        assert "no negatives" in found["pair"]
