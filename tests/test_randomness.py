"""Counter-based streams."""

import numpy as np
import pytest
import torch

from handssl.errors import InputError
from handssl.randomness import (
    derive_key,
    normal_field,
    normal_fields,
    normals,
    numpy_generator,
    permutation,
    philox,
    torch_generator,
    uniform_sets,
    uniforms,
)

# Known answers of Philox-4x32-10, published with the Random123 library (kat_vectors).
KNOWN = [
    ([0, 0, 0, 0], 0, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    (
        [0xFFFFFFFF] * 4,
        0xFFFFFFFFFFFFFFFF,
        [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD],
    ),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        0x299F31D0A4093822,
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_philox_gives_the_published_answers(counter, key, expected):
    assert philox(torch.tensor(counter), key).tolist() == expected


def test_uniforms_do_not_depend_on_the_place_in_the_batch_or_on_how_many_are_drawn():
    many = uniforms(torch.arange(100), 9, key=5)
    few = uniforms(torch.tensor([42, 7]), 6, key=5)
    assert torch.equal(few, many[[42, 7], :6])


def test_ids_beyond_32_bits_have_their_own_draws():
    draws = uniforms(torch.tensor([1, 1 + 2**32, 1 + 2**40]), 4, key=5)
    assert len({tuple(row) for row in draws.tolist()}) == 3


def test_uniforms_are_uniform():
    draws = uniforms(torch.arange(20000), 4, key=1)
    assert float(draws.min()) >= 0.0
    assert float(draws.max()) < 1.0
    counts = torch.histc(draws, bins=16, min=0.0, max=1.0) / draws.numel()
    assert float((counts - 1 / 16).abs().max()) < 0.003


def test_normals_are_standard():
    draws = normals(torch.arange(20000), 5, key=1)
    assert abs(float(draws.mean())) < 0.01
    assert float(draws.std()) == pytest.approx(1.0, abs=0.01)
    assert float((draws.abs() < 1.0).float().mean()) == pytest.approx(0.6827, abs=0.005)


@pytest.mark.parametrize(
    ("one", "other"), [(("a", 1), ("a", "1")), (("a", 11), ("a1", 1)), (("ab",), ("a", "b"))]
)
def test_addresses_that_look_alike_are_different_keys(one, other):
    assert derive_key(*one) != derive_key(*other)


def test_keys_stay_as_they_are_across_processes_and_releases():
    # Every recorded result depends on this mapping; changing it means a new numerics version.
    assert derive_key("theta", 1, 2, 0, "rotate") == 0x108024264B6560EE


def test_a_permutation_is_a_pure_function_of_its_address():
    assert np.array_equal(permutation(50, "order", 1, 2), permutation(50, "order", 1, 2))
    assert not np.array_equal(permutation(50, "order", 1, 2), permutation(50, "order", 1, 3))
    assert sorted(permutation(50, "order", 1, 2)) == list(range(50))


def test_host_generators_repeat_for_their_address():
    assert numpy_generator("a", 1).random() == numpy_generator("a", 1).random()
    first, second = (torch.rand(3, generator=torch_generator("w", 1)) for _ in range(2))
    assert torch.equal(first, second)


INTEGERS = [np.int64(5), np.int32(5), np.uint8(5), torch.tensor(5), np.array(5)]


@pytest.mark.parametrize("five", INTEGERS, ids=lambda five: f"{type(five).__name__} {five.dtype}")
def test_a_seed_of_any_integer_type_draws_as_the_equal_python_integer(five):
    assert derive_key("theta", five, "rotate") == derive_key("theta", 5, "rotate")
    assert numpy_generator(five).random() == numpy_generator(5).random()
    assert permutation(9, five).tolist() == permutation(9, 5).tolist()
    assert torch_generator(five).initial_seed() == torch_generator(5).initial_seed()


def test_true_is_the_integer_one_and_a_numpy_string_is_the_string():
    assert derive_key(True) == derive_key(1)
    assert derive_key(np.str_("a")) == derive_key("a")
    assert derive_key("a", "1") != derive_key("a", 1)


@pytest.mark.parametrize("part", [1.0, np.float64(1.0), None, (1, 2)])
def test_an_address_of_anything_else_is_refused_with_its_type(part):
    with pytest.raises(InputError, match=f"expected strings and integers.*{type(part).__name__}"):
        derive_key("theta", part)


def test_sample_ids_and_keys_of_any_integer_type_have_the_same_draws():
    ids, key = torch.tensor([3, 7]), derive_key("noise")
    for other in (ids.to(torch.int32), ids.to(torch.uint8)):
        assert torch.equal(uniforms(other, 5, np.uint64(key)), uniforms(ids, 5, key))
        assert torch.equal(uniform_sets(other, 5, [np.uint64(key)])[0], uniforms(ids, 5, key))
        assert torch.equal(normal_fields(other, 30, np.uint64(key)), normal_fields(ids, 30, key))


def test_the_noise_of_a_sample_whose_id_is_a_numpy_integer_is_its_own():
    fields = [normal_field(np.int64(number), 30, key=1) for number in (3, 7)]
    assert not np.array_equal(*fields)
    np.testing.assert_array_equal(fields[1], normal_field(7, 30, key=1))
