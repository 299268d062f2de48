"""A view may take the draw of each transformation from a number of its own."""

import pytest
import torch

from handssl.transforms import AugmentConfig, ViewMaker, draw_theta

IDS = torch.arange(4)


def draw(view, composition=("noise", "rotate")):
    return draw_theta(AugmentConfig(), composition, IDS, seed=1, epoch=1, view=view)


def test_every_transformation_takes_the_draw_of_its_number():
    mapped, of_0, of_2 = draw({"noise": 0, "rotate": 2}), draw(0), draw(2)
    assert torch.equal(mapped["noise"], of_0["noise"])
    assert torch.equal(mapped["rotate"], of_2["rotate"])


def test_a_transformation_without_a_number_is_a_mistake():
    with pytest.raises(KeyError, match="rotate"):
        draw({"noise": 0})


def test_the_noise_field_follows_the_number_of_noise():
    config = AugmentConfig.parse({"noise": {"probability": 1.0}})
    make = ViewMaker(config, ("noise", "rotate"), seed=1, view_px=16, context=1.75)
    crops = torch.randint(0, 256, (4, 3, 28, 28), dtype=torch.uint8)
    plain = make(crops, IDS, epoch=1, view=3).images
    assert torch.equal(make(crops, IDS, epoch=1, view={"noise": 3, "rotate": 3}).images, plain)
    assert not torch.equal(make(crops, IDS, epoch=1, view={"noise": 2, "rotate": 3}).images, plain)
