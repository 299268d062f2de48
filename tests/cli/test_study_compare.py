"""`handssl study compare`: the best cells and the references, on the terminal and in a browser."""

import html
import json
import re
import subprocess

import pytest

from handssl.cli.app import invoke
from handssl.cli.views.mlflow import mlflow_server
from handssl.errors import InputError
from handssl.ledger import Ledger
from handssl.tracking.comparison import compare, experiment_page
from handssl.tracking.mlflow_client import connect
from handssl.tracking.stage_view import CellRow, StageView
from handssl.tracking.study_page import LOCAL, study_page
from handssl.tracking.tracker import MlflowTracker


def cell(label, objective, mm, completed=3):
    metrics = {"blocks_completed": completed}
    if mm:
        metrics |= {"median_mm": mm, "mpje_mm": mm + 5, "test_median_mm": mm + 1}
    return CellRow(label, {"objective": objective, "composition": "rotate"}, metrics)


REFERENCES = [cell("mean pose", "reference", 90.0), cell("supervised", "supervised", 50.0)]
STAGES = {
    "objectives": [*REFERENCES, cell("relative rotate", "relative", 70.0)],
    "compositions": [
        *(cell(f"mixed {n:02d}", "mixed", 71.0 + n) for n in range(30)),
        cell("relative rotate", "relative", 70.0),
        cell("stopped everywhere", "mixed", None, completed=0),
    ],
}


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    tracker = MlflowTracker(f"sqlite:///{folder}/mlflow.db", "smoke", Ledger(folder))
    for name, rows in STAGES.items():
        tracker.show_stage(StageView(name, lambda rows=rows: rows, dict))
    tracker.close(timeout_s=60)
    return folder


def labels(storage, **options):
    found = compare(f"sqlite:///{storage}/mlflow.db", "smoke", **options)
    return [one.label for one in found.cells]


def test_the_best_cells_are_ranked_among_the_references(storage):
    found = labels(storage)
    assert found[:3] == ["supervised", "relative rotate", "mixed 00"]
    assert (len(found), found[-2:]) == (22, ["mixed 18", "mean pose"])
    assert labels(storage, best=1) == ["supervised", "relative rotate", "mean pose"]


def test_cells_of_one_stage_can_be_asked_for(storage):
    found = labels(storage, stage="objectives", best=5)
    assert found == ["supervised", "relative rotate", "mean pose"]
    with pytest.raises(InputError, match="--stage: expected one of compositions, objectives"):
        labels(storage, stage="other")


def test_the_command_prints_a_table_or_a_document_with_the_address(storage, capsys):
    assert invoke(["study", "compare", "smoke", "--storage", str(storage), "--best", "2"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"1 +relative rotate +70\.0", shown)
    assert "viewStateShareKey=handssl-compare" in shown
    assert "Not compared, as no seed was completed: stopped everywhere;" in shown
    arguments = ["study", "compare", "smoke", "--storage", str(storage), "--best", "2", "--json"]
    assert invoke(arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert [one["cell"] for one in document["cells"]][:3] == [
        "supervised",
        "relative rotate",
        "mixed 00",
    ]
    assert document["url"].startswith("http://127.0.0.1:5000/#/experiments/")
    assert document["without_result"] == ["stopped everywhere"]


def test_the_address_of_a_study_opens_its_cells_in_the_pages_for_model_training(storage):
    uri = f"sqlite:///{storage}/mlflow.db"
    address = study_page(uri, "smoke")
    assert address == experiment_page(uri, "smoke", LOCAL)
    assert address.endswith("/runs?workflowType=machine_learning&viewStateShareKey=handssl-cells")
    assert study_page(uri, "unknown") == study_page(f"sqlite:///{storage}/none.db", "smoke") == ""


def test_an_experiment_has_views_with_the_errors_as_columns_and_keeps_the_users_description(
    storage,
):
    uri = f"sqlite:///{storage}/mlflow.db"
    client, experiment = connect(uri, "smoke")
    tags = client.get_experiment(experiment).tags
    view = json.loads(tags["mlflow.sharedViewState.handssl-cells"])
    state = json.loads(view["state"])
    assert {"metrics.`median_mm`", "metrics.`mpje_mm`"} <= {*state["selectedColumns"]}
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`median_mm`", True)
    client.set_experiment_tag(experiment, "mlflow.note.content", "ours")
    connect(uri, "smoke")
    assert client.get_experiment(experiment).tags["mlflow.note.content"] == "ours"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo", "--storage", "{storage}"], "expected an experiment demo"),
        (["smoke", "--storage", "{storage}/none"], "there is none; run one first"),
        (["smoke", "--tracking-uri", "http://127.0.0.1:9"], "cannot be reached"),
    ],
)
def test_what_cannot_be_compared_is_said(storage, arguments, message, capsys):
    filled = [one.format(storage=storage) for one in arguments]
    assert invoke(["study", "compare", *filled]) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.timeout(240)
def test_the_page_shows_these_runs_in_this_order_in_a_real_browser(storage, chromium, tmp_path):
    uri = f"sqlite:///{storage}/mlflow.db"
    found = compare(uri, "smoke", best=4)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    flags += ["--no-first-run", f"--user-data-dir={tmp_path}", "--window-size=1900,1200"]
    with mlflow_server(uri) as (address, _):
        shown = subprocess.run(
            [chromium, *flags, "--virtual-time-budget=20000", "--dump-dom", found.url(address)],
            capture_output=True,
            text=True,
            timeout=180,
            check=True,
        ).stdout
    # The grid draws rows where it likes; their index is their place.
    names = {}
    for part in shown.split('role="row"')[1:]:
        index = re.search(r'row-index="(\d+)"', part)
        name = re.search(r"/runs/\w+[^>]*>(.*?)</a>", part)
        if index and name:
            names[int(index[1])] = html.unescape(re.sub("<[^>]*>", "", name[1]))
    found_names = [names[index].rpartition(" mm · ")[2] for index in sorted(names)]
    assert found_names == [one.label for one in found.cells]
    for column in ("median_mm", "test_median_mm", "mpje_mm", "objective"):
        assert f">{column}<" in shown
