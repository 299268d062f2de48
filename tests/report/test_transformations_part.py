"""The sheet of a study's transformations on its page."""

from __future__ import annotations

import base64
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest

from handssl.report.figures.transformations import transformations_part
from handssl.report.of_study import study_report
from handssl.transforms import AugmentConfig
from handssl.transforms.preview import transformation_sheet
from tests.report.made_up import page_of
from tests.report.test_of_study import cells, data, run  # noqa: F401  (data is a fixture)


def pictures(part):
    found = re.findall(r"data:image/jpeg;base64,([\w+/=]+)", part)
    return [cv2.imdecode(np.frombuffer(base64.b64decode(o), np.uint8), 1) for o in found]


@pytest.fixture
def found(tmp_path, data):  # noqa: F811
    narrow = {"cutout": {"side_views": {"low": 0.3, "high": 0.35}}}
    pretrain = {"epochs": 3, "optimizer": {"warmup_epochs": 1}, "augmentation": narrow}
    listed = [{"composition": "cutout"}, {"composition": "rotate+cutout", "objective": "mixed"}]
    listed[1]["relative_on"] = "rotate"
    return run(cells("a", cells=listed, pretrain=pretrain), tmp_path, data)


def test_the_page_shows_the_transformations_of_the_study_alone_over_its_ranges(found, monkeypatch):
    asked = []

    def drawn(hands, target, *, config, names, **known):
        asked.append((names, config))
        return transformation_sheet(hands, target, config=config, names=names, **known)

    monkeypatch.setattr("handssl.transforms.preview.transformation_sheet", drawn)
    part = transformations_part(found)
    assert [names for names, _ in asked] == [("cutout",), ("rotate",)]
    assert asked[0][1].cutout.side_views.low == 0.3
    assert asked[0][1].rotate == AugmentConfig().rotate
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", part)
    assert captions[1].startswith("rotate on a rendered hand (the study")
    assert "angle from low to high, in the ranges of the study" in captions[1]
    assert len(pictures(part)) == 2
    assert min(one.std() for one in pictures(part)) > 10


def test_the_images_are_those_of_the_study_where_its_data_are_there(found, tmp_path, blob_data):
    (tmp_path / "stores").mkdir()
    (tmp_path / "stores" / "one").symlink_to(blob_data)
    from handssl.data.splits import StudyData

    tag = {"data_labelled": f"blobs {StudyData(blob_data).fingerprint}"}
    named = tuple(one.model_copy(update={"tags": tag}) for one in found.records)
    part = transformations_part(replace(found, records=named))
    assert "rotate on an image of the study" in part
    other = transformations_part(found)
    ours, rendered = pictures(part)[0].astype(int), pictures(other)[0]
    assert ours.shape == rendered.shape
    assert np.abs(ours - rendered).mean() > 3


def test_ranges_that_this_version_cannot_read_leave_the_sheet_out(found, tmp_path):
    broken = replace(found, plan={"study": {"name": "a", "unknown": 1}})
    assert transformations_part(broken) == ""
    assert "Transformations of the study" not in page_of(found.rows)


def test_a_study_without_trials_has_no_sheet(tmp_path, data):  # noqa: F811
    from handssl.ledger import Ledger
    from handssl.planning.preregistration import keep

    keep(cells("a"), tmp_path, Ledger(tmp_path), lambda event: None)
    assert transformations_part(study_report("a", tmp_path, "sqlite://")) == ""
