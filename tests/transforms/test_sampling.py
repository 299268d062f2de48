"""What theta depends on, and what it does not."""

import pytest
import torch

from handssl.transforms import REGRESSABLE, TRANSFORMATIONS, AugmentConfig, ViewMaker, draw_theta
from handssl.transforms.sampling import intervals_of

IDS = torch.arange(4000)


def draw(composition=TRANSFORMATIONS, ids=IDS, config=None, **address):
    address = {"seed": 1, "epoch": 1, "view": 0, **address}
    return draw_theta(config or AugmentConfig(), composition, ids, **address)


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_turning_other_transformations_on_or_off_leaves_a_draw_alone(name):
    assert torch.equal(draw([name])[name], draw(TRANSFORMATIONS)[name])


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_a_draw_belongs_to_its_sample_and_not_to_its_place_in_the_batch(name):
    shuffled = torch.tensor([7, 3000, 5])
    assert torch.equal(draw([name], ids=shuffled)[name], draw([name])[name][shuffled])


@pytest.mark.parametrize("name", TRANSFORMATIONS)
@pytest.mark.parametrize("ranks", [2, 4])
def test_the_parts_of_the_ranks_are_the_draws_of_the_whole_batch(name, ranks):
    parts = [draw([name], ids=part)[name] for part in IDS[:100].chunk(ranks)]
    assert torch.equal(torch.cat(parts), draw([name])[name][:100])


@pytest.mark.parametrize("change", [{"seed": 2}, {"epoch": 2}, {"view": 1}])
def test_seed_epoch_and_view_each_give_other_draws(change):
    assert not torch.equal(draw(["rotate"])["rotate"], draw(["rotate"], **change)["rotate"])


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_parameters_fill_their_ranges_evenly(name):
    config = AugmentConfig().merged({f"{name}.probability": 1.0})
    parameters = draw([name], config=config)[name][:, 1:]
    for column, interval in zip(parameters.T, intervals_of(config, name), strict=True):
        unit = (column - interval.low) / interval.width
        assert float(unit.min()) >= 0.0
        assert float(unit.max()) <= 1.0
        assert float(unit.mean()) == pytest.approx(0.5, abs=0.03)
        assert float(unit.var()) == pytest.approx(1 / 12, abs=0.01)


def test_a_probability_is_the_share_of_views_changed_and_the_rest_has_identity_theta():
    config = AugmentConfig().merged({"rotate.probability": 0.3})
    rotate = draw(["rotate"], config=config)["rotate"]
    assert float(rotate[:, 0].mean()) == pytest.approx(0.3, abs=0.03)
    assert not rotate[rotate[:, 0] == 0, 1].any()


@pytest.mark.parametrize("name", sorted(REGRESSABLE))
def test_regressable_transformations_are_always_applied_by_default(name):
    assert bool(draw([name])[name][:, 0].all())


def maker(composition, **changes):
    config = AugmentConfig().merged(changes)
    return ViewMaker(config, composition, seed=1, view_px=32, context=1.75)


def test_a_view_is_the_same_alone_and_in_a_batch():
    crops = torch.randint(0, 256, (6, 3, 56, 56), dtype=torch.uint8)
    ids = torch.tensor([11, 5, 8, 90, 2, 3])
    make = maker(TRANSFORMATIONS)
    together = make(crops, ids, epoch=1, view=0).images
    alone = make(crops[3:4], ids[3:4], epoch=1, view=0).images
    assert torch.allclose(together[3:4], alone, atol=1e-5)


def test_the_empty_composition_makes_two_identical_views():
    crops = torch.randint(0, 256, (2, 3, 56, 56), dtype=torch.uint8)
    make = maker(())
    first, second = (make(crops, torch.arange(2), epoch=1, view=view).images for view in (0, 1))
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_every_transformation_changes_the_image_and_keeps_its_shape(name):
    crops = torch.randint(0, 256, (4, 3, 56, 56), dtype=torch.uint8)
    changed = maker((name,), **{f"{name}.probability": 1.0})(
        crops, torch.arange(4), epoch=1, view=0
    )
    plain = maker(())(crops, torch.arange(4), epoch=1, view=0)
    assert changed.images.shape == (4, 3, 32, 32)
    assert bool(torch.isfinite(changed.images).all())
    assert bool((changed.images != plain.images).flatten(1).any(1).all())


@pytest.mark.parametrize("name", ["blur", "cutout", "noise", "sobel"])
def test_a_view_the_coin_leaves_out_is_not_changed(name):
    crops = torch.randint(0, 256, (4, 3, 56, 56), dtype=torch.uint8)
    off = maker((name,), **{f"{name}.probability": 0.0})(crops, torch.arange(4), epoch=1, view=0)
    assert torch.equal(off.images, maker(())(crops, torch.arange(4), epoch=1, view=0).images)
