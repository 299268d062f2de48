"""The model that is part of handssl: small, of procedural hands only, better than none."""

import numpy as np

import handssl
from handssl.data.catalog import open_dataset
from handssl.inference.bundled import BUNDLED, LARGEST_BYTES, bundled_model
from handssl.pose.crop_rules import crop_box


def test_it_is_small_and_its_card_says_what_it_is():
    card = BUNDLED.with_suffix(".md").read_text()
    assert BUNDLED.stat().st_size <= LARGEST_BYTES == 4 * 1024**2
    for words in ("procedural hands only", "95 %", "digest", "## Limits", "supervised"):
        assert words in card
    assert bundled_model().facts.digest in card


def test_it_finds_the_joints_of_hands_that_it_has_not_seen():
    """Its joints are nearer to the true ones than the centre of the box is, by far."""
    hands = open_dataset("procedural", split="test", pretrain=16, probe=16, select=16, test=16)
    model, ours, centre = bundled_model(), [], []
    for number in range(12):
        hand = hands[number]
        middle, side = crop_box(hand.uv)
        inner = side / model.facts.hand.margin
        box = (*(middle - inner / 2 + 0.5), inner, inner)
        pose = handssl.predict(hand.image, box=box)
        ours.append(np.linalg.norm(pose.uv - hand.uv, axis=1).mean() / side)
        centre.append(np.linalg.norm(middle - hand.uv, axis=1).mean() / side)
    assert np.mean(ours) < 0.5 * np.mean(centre)
