"""Training on several processes gives what one gives."""

import pytest
import torch

from tests.ranks import found_by, solve_together
from tests.training.concurrent_runs import arms_of, solve

pytestmark = pytest.mark.faults

WORLDS = (2, 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, blob_data):
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "store").symlink_to(blob_data)
    return folder


@pytest.fixture(scope="module")
def alone(folder):
    return solve(1, 0, folder)


@pytest.fixture(scope="module")
def together(folder):
    solve_together("tests.training.concurrent_runs", folder, WORLDS)
    return folder


@pytest.fixture(scope="module", params=WORLDS)
def ranks(request, together):
    return found_by(together, request.param)


each = pytest.mark.parametrize(
    ("world", "arm"), [(world, arm) for world in WORLDS for arm in arms_of(world)]
)


@each
def test_losses_of_every_step_are_those_of_one_process(alone, together, world, arm):
    for found in found_by(together, world):
        for own, expected in zip(found[arm]["epochs"], alone[arm]["epochs"], strict=True):
            assert own == pytest.approx(expected, rel=1e-9)


@each
def test_weights_and_running_statistics_are_those_of_one_process(alone, together, world, arm):
    for found in found_by(together, world):
        for name, value in alone[arm]["model"].items():
            assert torch.allclose(found[arm]["model"][name], value, rtol=1e-6, atol=1e-9), name


@each
def test_every_rank_ends_with_the_same_bits(together, world, arm):
    first, *others = (found[arm] for found in found_by(together, world))
    for other in others:
        assert other["epochs"] == first["epochs"]
        assert all(torch.equal(v, first["model"][n]) for n, v in other["model"].items())


def test_statistics_of_each_worker_alone_are_another_experiment(alone, together):
    """The tests above can fail: without global BatchNorm they do."""
    own = found_by(together, 2)[0]["local statistics"]["epochs"][-1]["train/loss"]
    assert abs(own / alone["contrastive"]["epochs"][-1]["train/loss"] - 1) > 1e-4


def test_a_run_taken_up_after_every_epoch_ends_with_the_same_bits(ranks):
    for found in ranks:
        assert found["resumed"]["epochs"] == found["whole"]["epochs"]
        model = found["whole"]["model"]
        assert all(torch.equal(v, model[n]) for n, v in found["resumed"]["model"].items())


def test_one_rank_stops_all_and_the_epoch_goes_on_to_the_same_bits(ranks):
    for found in ranks:
        assert found["stopped"]["stopped"]
        assert found["stopped"]["epoch"] == found["not stopped"]


def test_ranks_whose_loss_is_not_finite_are_named_on_all(ranks):
    for found in ranks:
        assert "became nan on every rank in epoch 1, step 1" in found["diverged"]


def test_more_workers_than_images_are_refused(ranks):
    expected = "accepted" if len(ranks) == 2 else "at least one image for each of 3 workers"
    assert all(expected in found["refused"] for found in ranks)
