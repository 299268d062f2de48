"""Procedural images give no cheap cue away: wrist, skin colour, blur, objects, exposure."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from handssl.data.procedural import ProceduralSpec, make_sample
from handssl.data.procedural.dataset import make_hand, make_layer
from handssl.data.procedural.distributions import TABLE
from handssl.data.procedural.mesh import load_mesh
from handssl.data.procedural.scene.backgrounds import SCENES, Brush, draw_background
from handssl.data.procedural.scene.colours import linear_rgb
from handssl.data.procedural.scene.light import Light
from handssl.data.procedural.scene.photography import develop
from handssl.data.procedural.scene.primitives import Primitive, cast
from handssl.data.procedural.scene.props import draw_held
from handssl.data.procedural.scene.rendering import Figure, render
from handssl.data.procedural.scene.skin import skin
from handssl.data.procedural.subjects import SUBJECTS, draw_subject
from handssl.randomness import numpy_generator

SPEC = ProceduralSpec(pretrain=400, image_px=84)
WHITE = Light(np.array([0.0, 0.0, -1.0]), np.ones(3), 0.5)
PEOPLE = [draw_subject(0, number) for number in range(sum(SUBJECTS.values()))]


def share_of(name):
    return TABLE[name].distribution.p


@pytest.fixture(scope="module")
def arm():
    """Albedo of every subject at points down the middle of the arm's back, 2 mm apart."""
    mesh = load_mesh()
    back = (mesh.arm_m > -0.03) & (mesh.arm_m < 0.3) & (mesh.volar < 0.5)
    used = np.flatnonzero(back & np.isin(np.arange(len(mesh.vertices)), mesh.faces))
    points = mesh.vertices[used].astype(np.float32)
    faces = np.array([np.flatnonzero((mesh.faces == vertex).any(1))[0] for vertex in used])
    volar = mesh.volar[used].astype(np.float32)
    colours = [skin(person, faces, points, volar)[0].mean(axis=1) for person in PEOPLE]
    return SimpleNamespace(along_m=mesh.arm_m[used], albedo=np.stack(colours))


def test_no_colour_marks_the_wrist(arm):
    """Over many subjects the mean albedo has no step or ring anywhere near the wrist joint."""
    edges_m = np.arange(-0.03, 0.1, 0.01)
    bins = [
        (arm.albedo[:, (arm.along_m >= low) & (arm.along_m < low + 0.01)]).mean()
        for low in edges_m
        if ((arm.along_m >= low) & (arm.along_m < low + 0.01)).any()
    ]
    assert len(bins) >= 8
    assert np.abs(np.diff(bins)).max() < 0.05 * np.mean(bins)


def test_the_edge_of_a_sleeve_is_anywhere_along_the_arm():
    edges = np.sort([person.sleeve_m for person in PEOPLE if person.sleeve_m is not None])
    low, high = edges[0], edges[-1]
    assert low < 0.0
    assert high > 0.25
    # Kolmogorov and Smirnov against the uniform distribution, p = 0.001.
    assert (
        np.abs((edges + 0.02) / 0.3 - np.linspace(0, 1, len(edges))).max()
        < 1.95 / len(edges) ** 0.5
    )


def test_the_forearm_continues_the_hand_without_a_step():
    """The mesh is one closed surface up to the elbow, and its width and depth change slowly."""
    mesh = load_mesh()
    used = np.isin(np.arange(len(mesh.vertices)), mesh.faces)
    extent_m = []
    for low in np.arange(-0.007, 0.08, 0.01):
        ring = mesh.vertices[used & (mesh.arm_m >= low) & (mesh.arm_m < low + 0.02)]
        extent_m.append(np.ptp(ring[:, [0, 2]], axis=0))
    assert np.abs(np.diff(extent_m, axis=0)).max() < 0.006
    edges = np.sort(mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    _, count = np.unique(edges, axis=0, return_counts=True)
    # Every edge has two faces but those of the open end beyond the image.
    assert (count == 1).sum() == 20
    assert count.max() == 2


def test_skin_is_of_a_human_colour():
    """CIELAB of the subjects against the range of the cited measurements, by OpenCV."""
    rgb = np.stack([linear_rgb(person.skin) for person in PEOPLE]).astype(np.float32)
    lab = cv2.cvtColor(rgb[None], cv2.COLOR_LRGB2Lab)[0]
    assert 29 < lab[:, 0].min() < 38
    assert 62 < lab[:, 0].max() < 71
    # Group means are 5.6 to 14.5 and 13.3 to 19.5; individuals stray by 5 at most.
    assert 0.5 < lab[:, 1].min() < lab[:, 1].max() < 20
    assert 8 < lab[:, 2].min() < lab[:, 2].max() < 25
    assert (rgb[:, 0] > rgb[:, 1]).all()
    assert (rgb[:, 1] > rgb[:, 2]).all()


def test_nails_are_on_the_backs_of_the_fingertips_only():
    mesh, person = load_mesh(), PEOPLE[0]
    centres = mesh.vertices[mesh.faces].mean(1).astype(np.float32)
    volar = mesh.volar[mesh.faces].mean(1).astype(np.float32)
    gloss = skin(person, np.arange(len(mesh.faces)), centres, volar)[1]
    nails = gloss > 0.1
    assert nails.sum() >= 5
    assert volar[nails].max() < 0.6  # half is the side of a finger
    assert volar[nails].mean() < 0.15
    tips = mesh.vertices[mesh.tip_vertices]
    assert np.linalg.norm(centres[nails][:, None] - tips, axis=2).min(1).max() < 0.025


def test_skin_colour_is_found_beside_the_hand_in_a_stated_share_of_images():
    """Chromaticity as the hand's own skin, on at least 3 % of the background.

    A fifth of the people may be too small or beyond the border.
    """
    found = 0
    for index in range(150):
        rng, tone = numpy_generator("beside", index), PEOPLE[index].skin
        background = draw_background(rng, 84, WHITE, tone)
        own = linear_rgb(tone)
        close = np.abs(background / background.sum(2, keepdims=True) - own / own.sum()).max(2)
        found += np.mean(close < 0.015) > 0.03
    people = 1 - (1 - share_of("face")) * (1 - share_of("limb"))
    assert found / 150 > 0.8 * share_of("own_skin") * people


def test_backgrounds_have_straight_edges():
    """Straight segments found by OpenCV's detector, at least half an image long in most scenes."""
    detector = cv2.createLineSegmentDetector()
    longest = []
    for index in range(60):
        image = draw_background(numpy_generator("lines", index), 112, WHITE, PEOPLE[0].skin)
        grey = (image.mean(2) ** 0.45 * 255).clip(0, 255).astype(np.uint8)
        lines = detector.detect(grey)[0]
        lines = np.zeros((1, 4)) if lines is None else lines.reshape(-1, 4)
        longest.append(np.hypot(lines[:, 2] - lines[:, 0], lines[:, 3] - lines[:, 1]).max() / 112)
    assert np.median(longest) > 0.35
    assert np.mean(np.array(longest) > 0.15) > 0.85


@pytest.mark.parametrize("scene", SCENES)
def test_every_scene_fills_the_image_and_differs_each_time(scene):
    canvases = []
    for index in range(3):
        brush = Brush(numpy_generator("scene", scene, index), 96)
        SCENES[scene](brush)
        assert np.isfinite(brush.canvas).all()
        assert brush.canvas.min() >= 0.0
        assert brush.canvas.std() > 0.005
        canvases.append(brush.canvas)
    assert np.abs(canvases[0] - canvases[1]).mean() > 0.02


def test_blur_does_not_separate_hand_from_background():
    """In a fair part of the images the background is as rich in fine detail as the hand."""
    sharper = []
    for index in range(80):
        image = make_sample(SPEC, "pretrain", index).image.astype(np.float32).mean(2)
        hand = make_layer(SPEC, "pretrain", index)[2].hand[..., 0]
        detail = np.abs(cv2.Laplacian(image, cv2.CV_32F))
        inside = cv2.erode((hand > 0.99).astype(np.uint8), np.ones((3, 3))) > 0
        outside = cv2.dilate((hand > 0.01).astype(np.uint8), np.ones((3, 3))) == 0
        if inside.sum() > 50:
            sharper.append(np.percentile(detail[outside], 90) > np.percentile(detail[inside], 90))
    assert 0.25 < np.mean(sharper) < 0.95


def test_hands_hold_objects_and_are_hidden_in_the_stated_shares():
    hands = [make_hand(SPEC, "pretrain", index) for index in range(400)]
    count = np.array([len(hand.props) for hand in hands])
    # A held object's centre is among the fingers, an occluder is nearer than all joints.
    front = [
        any(prop.centre[2] < hand.xyz[:, 2].min() - 0.01 for prop in hand.props) for hand in hands
    ]
    assert abs(np.mean(count) - share_of("held") - share_of("occluder")) < 0.1
    assert np.mean(front) > 0.7 * share_of("occluder")


def test_a_held_object_touches_the_hand_and_leaves_joints_free():
    for index in range(60):
        hand = make_hand(SPEC, "pretrain", index)
        held = draw_held(numpy_generator("held", index), hand.xyz)
        local = (hand.xyz - held.centre) @ held.axes / held.half
        assert np.abs(np.linalg.det(held.axes)) == pytest.approx(1.0)
        if held.shape != "box":
            inside = np.linalg.norm(local[:, : 3 if held.shape == "ellipsoid" else 2], axis=1) < 0.9
            inside &= np.abs(local[:, 2]) < 1
            assert inside.sum() <= 2
        surface_m = (np.abs(local).max(axis=1) - 1) * held.half.min()
        assert surface_m.min() < 0.03


def test_the_nearer_of_hand_and_object_is_seen():
    hand = make_hand(SPEC, "pretrain", 3)
    figure = Figure(hand.vertices, draw_subject(0, hand.subject))
    colours = np.stack((np.ones(3), np.ones(3)))

    def shown(depth_m):
        at = hand.xyz.mean(0) * depth_m / hand.xyz.mean(0)[2]
        wall = Primitive(
            "box", at, np.eye(3), np.array([2.0, 2.0, 0.005]), colours, np.zeros(2), 0.0
        )
        return render([figure], [wall], hand.camera, WHITE, image_px=84).hand.sum()

    alone = render([figure], (), hand.camera, WHITE, image_px=84).hand.sum()
    assert shown(hand.vertices[:, 2].max() + 0.3) == pytest.approx(alone)
    assert shown(max(hand.vertices[:, 2].min() - 0.1, 0.05)) < 0.02 * alone
    assert 0.02 * alone < shown(hand.xyz[:, 2].mean()) < 0.98 * alone


def test_rays_meet_primitives_where_geometry_says():
    camera = np.array([[100.0, 0, 50], [0, 100.0, 50], [0, 0, 1]])
    axes, colours = np.eye(3), np.ones((2, 3))
    for shape, half in (("ellipsoid", (0.2, 0.2, 0.2)), ("box", (0.2, 0.2, 0.2))):
        solid = Primitive(
            shape, np.array([0, 0, 2.0]), axes, np.array(half), colours, np.zeros(2), 0.0
        )
        hits = cast(solid, camera, 101)
        middle = (hits.rows == 50) & (hits.columns == 50)
        assert hits.depth[middle] == pytest.approx(1.8, abs=1e-5)
        np.testing.assert_allclose(
            hits.normals[middle][0] / np.abs(hits.normals[middle]).max(), (0, 0, -1)
        )
    tube = Primitive(
        "cylinder",
        np.array([0, 0, 2.0]),
        axes,
        np.array([0.1, 0.1, 0.5]),
        colours,
        np.zeros(2),
        0.0,
    )
    hits = cast(tube, camera, 101)
    # Seen end on: a disc of radius 0.1 m at a depth of 1.5 m.
    assert len(hits.depth) == pytest.approx(np.pi * (100 * 0.1 / 1.5) ** 2, rel=0.05)
    np.testing.assert_allclose(hits.depth, 1.5, atol=1e-5)
    behind = Primitive(
        "box", np.array([0, 0, -1.0]), axes, np.full(3, 0.2), colours, np.zeros(2), 0.0
    )
    assert len(cast(behind, camera, 101).depth) == 0


def test_hidden_joints_keep_their_labels():
    hidden = 0
    for index in range(60):
        hand, _, layer = make_layer(SPEC, "pretrain", index)
        sample = make_sample(SPEC, "pretrain", index)
        assert np.isfinite(sample.uv).all()
        assert sample.valid.all()
        x, y = np.round(sample.uv).astype(int).T
        hidden += bool(hand.props) and (layer.hand[y, x, 0] < 0.5).any()
    assert hidden >= 6


def test_exposure_varies_and_neither_blows_out_nor_drowns_the_image():
    means = [make_sample(SPEC, "pretrain", index).image.mean() for index in range(120)]
    assert 40 < np.min(means) < np.max(means) < 220
    assert np.std(means) > 12


def test_coloured_light_is_mostly_balanced_away():
    grey = np.full((48, 48, 3), 0.2, dtype=np.float32)
    casts = []
    for index, kelvin_colour in enumerate(([1.6, 1.0, 0.5], [0.9, 1.0, 1.2])):
        light = Light(WHITE.direction, np.array(kelvin_colour), 0.5)
        image = develop(numpy_generator("cast", index), grey * np.float32(kelvin_colour), light)
        casts.append(image[..., 0].mean() / image[..., 2].mean())
    raw = (1.6 / 0.5) ** (1 / 2.2)
    assert 0.98 < casts[0] < 0.75 * raw
    assert 0.8 < casts[1] < 1.02


def test_photographs_have_little_grain():
    grey = np.full((64, 64, 3), 0.2, dtype=np.float32)
    noise = [develop(numpy_generator("grain", i), grey, WHITE).std() for i in range(40)]
    low, high = 255 * 0.003, 255 * 0.015
    assert 0.4 * low < np.median(noise) < high
    assert np.max(noise) < 1.3 * high
