"""Eq. 1."""

import pytest
import torch

from handssl.errors import InputError
from handssl.objectives import nt_xent
from tests.reference import objectives as naive


@pytest.mark.parametrize(("n", "dim", "temperature"), [(2, 3, 0.5), (7, 16, 0.1), (16, 4, 1.0)])
def test_nt_xent_equals_the_naive_loop_in_float64(n, dim, temperature):
    z = torch.randn(2, n, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(n))
    expected = naive.nt_xent(z[0].tolist(), z[1].tolist(), temperature)
    assert float(nt_xent(z[0], z[1], temperature=temperature)) == pytest.approx(expected, abs=1e-12)


def test_nt_xent_has_the_gradient_of_finite_differences():
    z = torch.randn(2, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: nt_xent(x[0], x[1], temperature=0.5), (z,))


def test_nt_xent_ignores_the_length_of_projections():
    z = torch.randn(2, 6, 8, dtype=torch.float64)
    scaled = z * torch.rand(2, 6, 1, dtype=torch.float64).add(0.1)
    assert torch.allclose(
        nt_xent(z[0], z[1], temperature=0.5), nt_xent(scaled[0], scaled[1], temperature=0.5)
    )


def test_nt_xent_is_least_for_aligned_positives_among_orthogonal_negatives():
    z = torch.eye(8, dtype=torch.float64)
    aligned = nt_xent(z, z, temperature=0.5)
    swapped = nt_xent(z, z.roll(1, 0), temperature=0.5)
    assert aligned < swapped


def test_a_batch_of_one_pair_is_refused_because_it_has_no_negatives():
    with pytest.raises(InputError, match="no negatives"):
        nt_xent(torch.ones(1, 4), torch.ones(1, 4), temperature=0.5)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_that_is_not_positive_is_refused(temperature):
    with pytest.raises(InputError, match="temperature > 0"):
        nt_xent(torch.eye(2), torch.eye(2), temperature=temperature)


def test_different_shapes_are_refused_with_both_named():
    with pytest.raises(InputError, match=r"\(2, 3\) and \(3, 3\)"):
        nt_xent(torch.ones(2, 3), torch.ones(3, 3), temperature=0.5)


def test_whole_numbers_are_refused_with_the_conversion():
    whole = torch.eye(2, dtype=torch.int64)
    with pytest.raises(InputError, match=r"floating-point projections, got torch.int64.*float\(\)"):
        nt_xent(whole, whole, temperature=0.5)
