import numpy as np
import pytest
import torch

from handssl.errors import InputError
from handssl.pose import align_procrustes, joint_errors
from handssl.randomness import numpy_generator
from tests.reference import pose as naive


@pytest.fixture
def rng():
    return numpy_generator("test procrustes")


@pytest.fixture
def hands(rng):
    return naive.random_hands(rng, 60)[0]


def similar(hands, rng):
    """Return each hand under a rotation, scale and translation of its own."""
    moved = []
    for hand in hands:
        rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        rotation *= np.linalg.det(rotation)
        moved.append(rng.uniform(0.2, 5) * hand @ rotation.T + rng.normal(size=3))
    return np.array(moved)


@pytest.mark.parametrize("allow_reflection", [False, True])
def test_alignment_equals_the_quaternion_solution_hand_by_hand(hands, rng, allow_reflection):
    predicted = rng.normal(0, 0.1, hands.shape)  # half of them are better when mirrored
    aligned = align_procrustes(predicted, hands, allow_reflection=allow_reflection)
    expected = [
        naive.align(p, q, allow_reflection=allow_reflection)
        for p, q in zip(predicted, hands, strict=True)
    ]
    np.testing.assert_allclose(aligned, expected, atol=1e-10)


def test_a_similarity_is_undone_exactly(hands, rng):
    np.testing.assert_allclose(align_procrustes(similar(hands, rng), hands), hands, atol=1e-12)


def test_the_result_does_not_depend_on_place_turn_or_size_of_the_prediction(hands, rng):
    predicted = hands + rng.normal(0, 0.01, hands.shape)
    first = align_procrustes(predicted, hands)
    again = align_procrustes(similar(predicted, rng), hands)
    np.testing.assert_allclose(again, first, atol=1e-11)


def test_a_mirrored_hand_is_free_only_where_reflections_are_allowed(hands):
    mirrored = hands * (-1.0, 1.0, 1.0)
    official = joint_errors(align_procrustes(mirrored, hands, allow_reflection=True), hands)
    proper = joint_errors(align_procrustes(mirrored, hands), hands)
    assert official.max() < 1e-12
    assert proper.mean(axis=1).min() > 1e-3  # metres


def test_joints_that_do_not_count_leave_the_alignment_alone(hands, rng):
    predicted = hands + rng.normal(0, 0.01, hands.shape)
    valid = rng.random(hands.shape[:2]) > 0.3
    target = np.where(valid[..., None], hands, np.nan)
    aligned = align_procrustes(predicted, target, valid=valid)
    for i, joints in enumerate(valid):
        expected = naive.align(predicted[i, joints], hands[i, joints])
        np.testing.assert_allclose(aligned[i, joints], expected, atol=1e-11)
    assert np.isfinite(aligned).all()


def test_a_prediction_without_extent_becomes_the_centre(hands):
    aligned = align_procrustes(np.ones_like(hands), hands)
    np.testing.assert_allclose(aligned, np.broadcast_to(hands.mean(1, keepdims=True), hands.shape))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("allow_reflection", [False, True])
def test_tensors_give_what_arrays_give(hands, rng, dtype, allow_reflection):
    predicted = hands + rng.normal(0, 0.02, hands.shape)
    valid = rng.random(hands.shape[:2]) > 0.2
    options = {"allow_reflection": allow_reflection}
    aligned = align_procrustes(
        torch.from_numpy(predicted).to(dtype),
        torch.from_numpy(hands).to(dtype),
        valid=torch.from_numpy(valid),
        **options,
    )
    expected = align_procrustes(predicted, hands, valid=valid, **options)
    assert aligned.dtype == dtype
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    np.testing.assert_allclose(aligned.numpy(), expected, atol=tolerance)


def test_wrong_arguments_are_refused(hands):
    with pytest.raises(InputError, match=r"target: expected shape \(..., 21, 3\), got \(60, 20, 3"):
        align_procrustes(hands, hands[:, :20])
    with pytest.raises(InputError, match=r"predicted \(60,\), target \(59,\)"):
        align_procrustes(hands, hands[:59])
    with pytest.raises(InputError, match="finite joints"):
        align_procrustes(hands * np.nan, hands)


def test_joint_errors_are_distances_joint_by_joint(hands, rng):
    predicted = hands + rng.normal(0, 0.02, hands.shape)
    errors = joint_errors(predicted, hands)
    assert errors.shape == (60, 21)
    for i, j in ((0, 0), (17, 4), (59, 20)):
        assert errors[i, j] == pytest.approx(np.linalg.norm(predicted[i, j] - hands[i, j]))
    tensors = joint_errors(torch.from_numpy(predicted), torch.from_numpy(hands))
    np.testing.assert_allclose(tensors.numpy(), errors, rtol=1e-13)
    with pytest.raises(InputError, match=r"one shape .* got \(60, 21, 3\) and \(21, 3\)"):
        joint_errors(predicted, hands[0])
