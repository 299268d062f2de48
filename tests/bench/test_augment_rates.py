"""`handssl bench augment` in small."""

import json
import os
import sys

import pytest
import torch

from handssl.bench import augment
from handssl.cli.app import invoke
from handssl.transforms import TRANSFORMATIONS, composition_name


@pytest.fixture(scope="module")
def rates():
    return augment.bench_augment(images=4, rounds=1, compositions=(TRANSFORMATIONS, ("rotate",)))


def test_every_way_is_measured_for_every_composition(rates):
    assert set(rates.one_thread) == {composition_name(TRANSFORMATIONS), "rotate"}
    for ways in rates.one_thread.values():
        assert set(ways) == {"tensor", "opencv", "albumentations", "torchvision", "floor"}
        assert all(rate.per_s > 0 for rate in ways.values())
    assert all(set(ways) == {"tensor", "opencv"} for ways in rates.all_cores.values())


def test_the_page_has_a_table_for_every_composition(rates):
    page = augment.text(rates)
    assert page.count("| albumentations |") == 2
    assert "| opencv |" in page
    assert "## rotate" in page


def test_albumentations_does_not_ask_for_its_newest_version(rates):
    assert "albumentations" in sys.modules
    assert os.environ["NO_ALBUMENTATIONS_UPDATE"] == "1"


def test_the_number_of_threads_is_what_it_was():
    before = torch.get_num_threads()
    augment.bench_augment(images=2, rounds=1, compositions=[()])
    assert torch.get_num_threads() == before


def test_progress_is_reported_for_each_phase():
    told = []
    augment.bench_augment(
        images=2,
        rounds=1,
        compositions=[()],
        on_progress=lambda name: lambda done, total: told.append((name, done, total)),
    )
    assert told[0] == ("1 threads, none", 1, 5)
    assert told[-1][1:] == (2, 2)


def test_the_command_measures_the_compositions_asked_for(tmp_path, capfd):
    page = tmp_path / "augment.md"
    words = ["--images", "8", "--rounds", "1", "--composition", "rotate+blur", "-q", "--json"]
    assert invoke(["bench", "augment", *words, "--markdown", str(page)]) == 0
    rates = json.loads(capfd.readouterr().out)["one_thread"]
    ways = {"tensor", "opencv", "albumentations", "torchvision", "floor"}
    assert set(rates) == {"blur+rotate"}
    assert set(rates["blur+rotate"]) == ways
    assert all(rate["per_s"] > 0 for rate in rates["blur+rotate"].values())
    assert "## blur+rotate" in page.read_text()


def test_an_unknown_transformation_gets_the_nearest_name(capfd):
    assert invoke(["bench", "augment", "--composition", "rotatee"]) == 2
    assert "unknown transformation 'rotatee'; did you mean 'rotate'?" in capfd.readouterr().err
