"""The schema of study files says yes to what handssl takes, and no to mistakes."""

import json

import jsonschema
import pytest

from handssl.cli.app import invoke
from handssl.study.study import Study
from tune_spaces import compositions, demo, objectives, paper, published, smoke


@pytest.fixture
def schema(capfd):
    assert invoke(["study", "schema"]) == 0
    return json.loads(capfd.readouterr().out)


@pytest.mark.parametrize("space", [compositions, demo, objectives, paper, published, smoke])
def test_every_study_we_ship_is_valid(schema, space):
    jsonschema.validate(space.study().model_dump(mode="json"), schema)


def test_a_study_as_people_write_it_is_valid(schema):
    cells = [{"composition": "rotate+translate", "objective": "relative"}, {"composition": []}]
    jsonschema.validate({"name": "mine", "cells": cells, "pretrain": {"epochs": 20}}, schema)


def test_a_study_may_name_the_custom_transformations_that_it_lists(schema):
    own = {"augmentation": {"custom": ["tests.transforms.custom:Dim"]}}
    stages = [{"kind": "objectives", "transformations": ["dim", "rotate"]}]
    values = {"name": "mine", "pretrain": own, "stages": stages}
    jsonschema.validate(values, schema)
    jsonschema.validate(Study.parse(values).model_dump(mode="json"), schema)


@pytest.mark.parametrize(
    "values",
    [
        {"name": "mine", "cells": [{"composition": ["rotat"]}]},
        {"name": "mine", "stages": [{"kind": "objectives", "transformations": ["dim"]}]},
        {"name": "mine", "cell": []},
        {"name": "mine", "stages": [{"kind": "objektives"}]},
        {"name": "mine", "pretrain": {"epochs": 0}},
        {"cells": []},
    ],
)
def test_mistakes_are_marked(schema, values):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(values, schema)
