"""MLflow's pages of a study in a real browser with a new profile."""

from __future__ import annotations

import pytest

from handssl.cli.views.mlflow import mlflow_server
from handssl.tracking.mlflow_client import open_client
from handssl.tracking.study_page import LOCAL, study_page
from handssl.tracking.views import CURVES
from tests.tracking.pages import browser, columns, rows
from tests.tracking.synthetic import fill
from tune_spaces.demo import study

STUDY = study("small")
ERRORS = ("median_mm", "mpje_mm")


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    fill(folder, STUDY)
    return f"sqlite:///{folder}/mlflow.db"


@pytest.fixture(scope="module")
def opened(uri, chromium):
    """Open a page of the store's MLflow by the end of its address."""
    with mlflow_server(uri) as (address, _), browser(chromium) as opens:
        yield lambda end, *awaited: opens(f"{address}/{end}", *awaited)


@pytest.mark.timeout(400)
def test_the_link_of_a_study_shows_cells_best_first_with_their_errors(uri, opened):
    page = opened(study_page(uri, STUDY.name).removeprefix(f"{LOCAL}/"))
    names = rows(page)
    errors = [float(name.split(" / ")[0]) for name in names]
    assert len(names) > 10
    assert errors == sorted(errors)
    assert {*ERRORS} <= {*columns(page)}


@pytest.mark.timeout(400)
def test_runs_that_are_opened_by_hand_are_cells_whose_names_have_their_errors(opened):
    """MLflow 3.17 has Source, Models and Dataset as columns here, whatever the experiment says."""
    names = rows(opened("#/experiments/1/runs"))
    cells = [name for name in names if not name.endswith("files")]
    assert len(cells) > 10
    assert all(" mm · " in name and "block" not in name for name in cells)


@pytest.mark.timeout(400)
def test_curves_of_the_error_are_the_first_charts(opened):
    page = opened(CURVES.page("1"), ".js-plotly-plot")
    text = page.locator("[data-testid=experiment-view-compare-runs-chart-area]").inner_text()
    charts = [line for line in text.splitlines() if line.endswith("_mm") or "/" in line[:6]]
    assert [line for line in charts if "(" not in line][:2] == ["median_mm", "mpje_mm"]


@pytest.mark.timeout(400)
def test_the_primary_measure_is_the_first_chart_of_a_trial(uri, opened):
    condition = "tags.kind = 'trial' and tags.objective = 'relative'"
    (run,) = open_client(uri).search_runs(["1"], condition, max_results=1)
    page = opened(f"#/experiments/1/runs/{run.info.run_id}/model-metrics", ".js-plotly-plot")
    shown = page.locator("body").inner_text().splitlines()
    assert next(line for line in shown if line.endswith("_mm")) == "median_mm"
