"""What is drawn follows the table of the documentation, which was fixed before any training."""

import re
from pathlib import Path

import numpy as np
import pytest

from handssl.data.procedural import ProceduralSpec
from handssl.data.procedural.articulation import bend
from handssl.data.procedural.cameras import draw_view
from handssl.data.procedural.dataset import make_hand
from handssl.data.procedural.distributions import TABLE, draw, markdown
from handssl.data.procedural.poses import FREIHAND_ANGLES_DEG, draw_pose
from handssl.data.procedural.subjects import SUBJECTS, draw_subject
from handssl.randomness import numpy_generator

PAGE = Path(__file__).parents[3] / "docs" / "procedural_hands.md"
ROW = re.compile(r"^\| (\w+) \| (\w+)\(([^)]*)\)(?: in \[([^\]]*)\])? \|", re.MULTILINE)
COUNT = 4000


def numbers(text):
    return [float(number) for number in text.split(",")] if text else []


ROWS = {
    name: (kind, numbers(of), numbers(clip))
    for name, kind, of, clip in ROW.findall(PAGE.read_text())
}


def expected(kind, of, clip):
    """Mean, standard deviation and range of a distribution of the page, by its textbook formula."""
    if kind == "uniform":
        return np.mean(of), (of[1] - of[0]) / 12**0.5, of
    if kind == "loguniform":
        low, high = of
        wide = np.log(high / low)
        mean = (high - low) / wide
        return mean, ((high**2 - low**2) / 2 / wide - mean**2) ** 0.5, of
    if kind == "chance":
        return of[0], (of[0] * (1 - of[0])) ** 0.5, (0, 1)
    return of[0], of[1], clip


def test_the_page_shows_the_table_of_the_code():
    assert markdown() in PAGE.read_text()
    assert list(ROWS) == list(TABLE)


@pytest.mark.parametrize("name", ROWS)
def test_draws_have_the_moments_of_the_page(name):
    mean, sd, (low, high) = expected(*ROWS[name])
    rng = numpy_generator("moments", name)
    drawn = np.array([draw(name, rng) for _ in range(COUNT)])
    assert low <= drawn.min()
    assert drawn.max() <= high
    assert abs(drawn.mean() - mean) < 4 * sd / COUNT**0.5
    assert drawn.std() == pytest.approx(sd, rel=0.06)


def wrist_to_knuckle(joints):
    return joints[..., 9, :2] - joints[..., 0, :2]


def test_the_angle_in_the_image_has_no_preferred_direction():
    spec = ProceduralSpec(pretrain=1500, image_px=84)
    hands = np.stack([make_hand(spec, "pretrain", i).xyz for i in range(600)])
    x, y = wrist_to_knuckle(hands / hands[..., 2:]).T
    angle = np.arctan2(x, -y)
    # Rayleigh's statistic of a uniform circle has mean 1; p < 1e-4 beyond 9.2.
    assert 600 * np.abs(np.exp(1j * angle).mean()) ** 2 < 9.2
    assert np.histogram(angle, 12, (-np.pi, np.pi))[0].min() > 25


def test_hands_are_tilted_as_far_as_the_page_says():
    """The mesh's fingers point along -y; its depth after the view is the sine of the tilt."""
    depth = [(draw_view(numpy_generator("tilt", i), "cone") @ (0, -1, 0))[2] for i in range(1500)]
    tilt = np.degrees(np.arcsin(depth))
    _, sd, (low, high) = expected(*ROWS["tilt"])
    assert low - 1e-6 <= tilt.min() < tilt.max() <= high + 1e-6
    assert tilt.std() == pytest.approx(sd, rel=0.08)
    assert abs(tilt.mean()) < 2.0


def test_the_hard_level_is_uniform_over_directions():
    """On a sphere every coordinate of a uniform direction is uniform on [-1, 1]."""
    views = np.stack([draw_view(numpy_generator("hard", i), "hard") for i in range(1500)])
    for column in range(3):
        for row in range(3):
            drawn = np.sort(views[:, row, column])
            distance = np.abs(drawn - np.linspace(-1, 1, 1500)).max() / 2
            assert distance < 1.95 / 1500**0.5  # Kolmogorov and Smirnov, p = 0.001
    assert np.allclose(np.linalg.det(views), 1.0)


def test_fingers_bend_about_as_far_as_those_of_freihand():
    hands = np.stack(
        [
            bend(draw_pose(numpy_generator("bent", i)), draw_subject(0, i % 96))[1]
            for i in range(800)
        ]
    )
    off = []
    for finger in range(5):
        bones = np.diff(hands[:, [0, *range(4 * finger + 1, 4 * finger + 5)]], axis=1)
        bones /= np.linalg.norm(bones, axis=2, keepdims=True)
        angles = np.degrees(np.arccos((bones[:, 1:] * bones[:, :-1]).sum(2).clip(-1, 1)))
        found = np.percentile(angles, (5, 50, 95), axis=0).T
        off.append(np.abs(found - FREIHAND_ANGLES_DEG[finger]))
    assert np.mean(off) < 6.0
    assert np.max(off) < 20.0


def test_subjects_follow_the_table_too():
    people = [draw_subject(0, number) for number in range(sum(SUBJECTS.values()))]
    size = np.array([person.size for person in people])
    assert size.std() == pytest.approx(ROWS["size"][1][1], rel=0.2)
    sleeves = [person.sleeve_m for person in people if person.sleeve_m is not None]
    assert abs(len(sleeves) / len(people) - ROWS["sleeve"][1][0]) < 0.12
    low, high = ROWS["sleeve_start"][1]
    # From on the hand to far up the arm, uniform: as many within 3 cm of the wrist as elsewhere.
    assert low < 0 < high
    near = np.mean([abs(edge) < 0.03 for edge in sleeves])
    assert abs(near - (0.03 - low) / (high - low)) < 0.12
