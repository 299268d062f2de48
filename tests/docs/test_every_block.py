"""Every command and snippet of README, docs and dashboards runs on the smallest data.

`WALKS` has the blocks that run here, in the order of a reader and with the settings that make them
small; they take minutes, so `make test-faults` runs them. `COVERED` has the blocks that other tests
run, and those that need a machine that no test has.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from handssl.cli.app import cli
from handssl.service.dispatch.managed_subprocess import free_port
from tests.docs.blocks import PAGES, Do, File, Run, Save, all_blocks, blocks, find
from tests.printed import ROOT, Shell
from tests.service.lab import lab

DATA = {"pretrain": 32, "probe": 32, "select": 16, "test": 16, "image_px": 64, "crop_px": 64}
TINY = {
    "epochs": 2,
    "global_batch": 16,
    "encoder": {"width": 8, "input_px": 32},
    "heads": {"projection_hidden": 8, "projection_out": 8, "relative_hidden": 8},
    "optimizer": {"warmup_epochs": 1},
}
STUDY = {"data": DATA, "pretrain": TINY, "blocks": [1]}
RUN = f"name: one\ndata: {DATA}\npretrain: {TINY | {'composition': ['rotate']}}\n"
MINE = f"{STUDY | {'name': 'mine', 'references': False, 'cells': [{'composition': ['rotate']}]}}\n"
SIZES = '"pretrain": {}, "probe": {}, "select": {}, "test": {}'
SMALL_SIZES = SIZES.format(32, 32, 16, 16) + ', "image_px": 64, "crop_px": 64'
FREIHAND = (
    "handssl data write freihand --root FreiHAND_pub_v2 --set pretrain=16 --set probe=16 "
    "--set select=8 --set test=8 --set image_px=64"
)
VIT = """
from torch import nn

def small_vit(config):
    network = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 8))
    network.dim = 8
    return network
"""
PHOTO = (
    "import cv2; from tests.conftest import BlobHands; "
    'cv2.imwrite("hand.jpg", cv2.resize(BlobHands()[0].image, (200, 160)))'
)
MODEL = (
    'mlflow.search_logged_models([mlflow.get_experiment_by_name("one").experiment_id], '
    'output_format="list")[0].model_uri'
)
FIRST = "$(head -1 job | cut -d: -f1)"
KEPT = '"$(ls runs/rotate/trials/*/predictions.npz | head -1 | cut -d/ -f4)"'
KEPT_PYTHON = 'next(Path("runs/rotate/trials").glob("*/predictions.npz")).parent.name'
LOAD = """
from pathlib import Path
import handssl
study = handssl.Study.load(Path("mine.yaml"))
"""
UI = "mlflow ui --backend-store-uri sqlite:///runs/mlflow.db"
SERVED = f"""{UI} --port $PORT > ui.log 2>&1 &
trap "kill $!" EXIT
until python - <<END
from urllib.request import urlopen
urlopen("http://127.0.0.1:$PORT/health", timeout=2)
END
do kill -0 $!; sleep 1; done"""
JQ = """jq -r 'select(.event == "epoch") | [.epoch, .median_mm] | @tsv'"""
WITHOUT_JQ = """python -c '
import json, sys
for event in map(json.loads, sys.stdin):
    if event["event"] == "epoch":
        print(event["epoch"], event["median_mm"], sep="\\t")'"""

# InterHand2.6M is not packed here: images without labels stand in.
UNION = {
    "name": "union",
    "labelled": {"name": "freihand"},
    "pretrain": [{"data": {"name": "freihand"}}, {"data": {"name": "folder"}}],
}

WALKS = {
    "first steps in Python, and the encoder": (
        Run(
            ("README.md: objectives.study",),
            {
                SIZES.format(256, 256, 128, 128): SMALL_SIZES,
                '"epochs": 3': '"epochs": 2',
                '"global_batch": 64': '"global_batch": 16',
                '"width": 16, "input_px": 48': '"width": 8, "input_px": 32',
                '["rotate", "translate"]': '["rotate"]',
            },
            r"relative rotate +2 +completed[\s\S]*objectives\.html",
        ),
        Run(("README.md: search_logged_models",), {"48, 48": "32, 32"}, r"\(4, 64\)"),
        Do(f"python -c '{PHOTO}' && mkdir crops && cp hand.jpg crops"),
        Run(("README.md: handssl predict hand.jpg",), {}, r"hand\.html[\s\S]*features\.npz"),
        Run(("README.md: functional_call",), {"48, 48": "32, 32"}, r"\[4, 64\]"),
    ),
    "a study": (
        Save("README.md: name: rotate-or-not", "rotate-or-not.yaml", STUDY),
        Run(
            ("README.md: study plan rotate-or-not.yaml",),
            {" --open": ""},
            r"color_jitter\+rotate +relative[\s\S]*Page: ",
        ),
        Run(
            ("dashboards/mlflow.md: study compare",),
            {"compositions --storage runs --open": "rotate-or-not.yaml --storage runs/rotate"},
            "rotate",
        ),
        Run(
            ("docs/measures.md: predictions show",),
            {"3f2a": KEPT, "handssl predictions": "HANDSSL_HOME=runs/rotate handssl predictions"},
            r"little_tip[\s\S]*errors\.csv[\s\S]*has its predictions",
        ),
        Run(
            ("docs/measures.md: read_predictions",),
            {
                'read_predictions("3f2a")': f'read_predictions({KEPT_PYTHON}, "runs/rotate")',
                "import handssl\n": "from pathlib import Path\nimport handssl\n",
            },
        ),
    ),
    "FreiHAND": (
        Do(FREIHAND),
        Save("README.md: name: on-freihand", "on-freihand.yaml", {"pretrain": TINY}),
        Run(("README.md: data pack freihand",), {}, r"Page: +\S+/runs/freihand/on-freihand\.html"),
        Run(("docs/data.md: data pack freihand",), {}, "every byte as packed"),
        Save("docs/data.md: name: more-hands", "more-hands.yaml", {"pretrain": TINY}),
        Do("handssl data pack folder --root FreiHAND_pub_v2/training/rgb --quiet"),
        Do("handssl study plan more-hands.yaml --no-measure", "plan "),
        Save(
            "docs/data.md: name: union",
            "union.yaml",
            {"pretrain": TINY, "data": UNION},
        ),
        Do("handssl study plan union.yaml --no-measure", "plan "),
    ),
    "one pretraining": (
        File("run.yaml", RUN),
        Run(
            ("README.md: handssl pretrain run.yaml",),
            {"3f2a": '"$(ls runs/rotate/trials)"', "handssl doctor": "handssl doctor --quick"},
            "sgd",
        ),
    ),
    "the events of a run": (
        File("run.yaml", RUN),
        Run(
            ("docs/training.md: --json",),
            {} if shutil.which("jq") else {JQ: WITHOUT_JQ},
            r"2\t[\d.]+",
        ),
    ),
    "MLflow": (
        File("run.yaml", RUN),
        Run(("docs/tracking.md: mlflow ui",), {UI: SERVED}),
        Run(
            ("docs/tracking.md: load_model",),
            {
                '"models:/<model id>"': MODEL,
                "128, 128": "32, 32",
                ")  # (": ")\nprint(features.shape)  # (",
            },
            r"\(4, 64\)",
        ),
    ),
    "checkpoints": (
        File("run.yaml", RUN),
        Do("handssl pretrain run.yaml --storage runs"),
        Do("cp runs/trials/*/checkpoints/epoch-00002.ckpt epoch-00012.ckpt"),
        Run(("docs/checkpoints.md: load_file",)),
        Run(("docs/checkpoints.md: RunLock",)),
        Do("mkdir run/checkpoints && cp epoch-00012.ckpt run/checkpoints/epoch-00002.ckpt"),
        Run(("docs/checkpoints.md: RunLock",), {"folder.save(state)": "print(folder.save(state))"}),
    ),
    "a study with stages": (
        Do("handssl study schema > study.schema.json"),
        Save("docs/sweeps.md: kind: compositions", "mine.yaml", STUDY),
        Do("handssl study plan mine.yaml --no-measure", r"compositions +\d"),
    ),
    "the Python API": (
        File("mylab/encoders.py", VIT),
        Save("docs/api.md: class Gamma", "mylab/ops.py"),
        Run(("docs/api.md: gamma-or-not",), {}, "relative rotate"),
        Run(
            (
                "docs/api.md: write_report",
                "docs/api.md: handssl.stream",
                "docs/api.md: OptunaSearch",
                "docs/api.md: add_dataset",
                "docs/api.md: small_vit",
            ),
            {
                SIZES.format(4096, 2048, 512, 512): SMALL_SIZES,
                "[1, 2, 3]": "[1]",
                '"epochs": 10': '"epochs": 2',
                '"global_batch": 128': '"global_batch": 16',
                '"width": 16, "input_px": 64': '"width": 8, "input_px": 32',
                'stream(study, storage="runs")': 'stream(study, storage="streamed")',
                "points=20": "points=2",
                "data = handssl": "from tests.conftest import BlobHands\ndata = handssl",
                'MyHands("/data/hands")': "BlobHands()",
            },
            r"relative rotate 1 completed \d",
        ),
    ),
}
QUEUE = ("README.md: handssl serve", "docs/service.md: jobs logs JOB", "docs/api.md: job.follow")

_CLUSTERS, _SLURM = "tests/docs/test_clusters.py::test_", "tests/docs/test_slurm.py::test_"
_OPERATIONS = "tests/docs/test_operations.py::test_"
_OURS, _RAY = (
    f"{_CLUSTERS}every_command_of_ours_is_one",
    f"{_CLUSTERS}every_ray_command_has_the_options_it_is_given",
)
_SERVICE = f"{_OPERATIONS}the_commands_of_a_service_on_sqlite"
_WORDS = f"{_SLURM}every_command_is_one_that_handssl_parses"
_SCRIPT = f"{_SLURM}a_job_hands_the_signal_on_and_goes_back_to_the_queue"
_HERE = "tests/docs/test_every_block.py::test_"
_DASHBOARDS = "tests/service/test_dashboards.py::test_"
_PROVISIONED = f"{_DASHBOARDS}the_provisioning_finds_the_dashboards_and_prometheus"
COVERED = {
    # The block: why it does not run here, and the test that covers it.
    "README.md: make demo": ("minutes of training", f"{_HERE}the_demo_of_make_ends_with_its_table"),
    "docs/data.md: fingerprint: 0123456789ab": (
        "its store is a placeholder",
        "tests/docs/test_docs.py::test_the_studies_on_a_page_are_valid",
    ),
    "docs/data.md: open_reader": (
        "runs in make test",
        "tests/docs/test_docs.py::test_the_example_of_the_data_page_runs",
    ),
    "docs/doctor.md: handssl doctor": (
        "hosts of a lab; the walk through one pretraining runs the checks",
        f"{_HERE}commands_have_the_verbs_and_options_they_are_given",
    ),
    "docs/service.md: curl": (
        "runs in make test",
        "tests/docs/test_service.py::test_the_requests_are_answered",
    ),
    "docs/clusters.md: handssl submit compositions": ("a service elsewhere", _OURS),
    "docs/clusters.md: ray dashboard": ("a cluster", _OURS),
    "docs/clusters.md: cache_bytes": ("a file", f"{_CLUSTERS}the_places_are_what_we_read"),
    "docs/clusters.md: install -m 600": (
        "a file in the home of the user",
        f"{_HERE}the_file_of_secrets_is_readable_only_by_its_user",
    ),
    "docs/clusters.md: export HANDSSL_LEDGER": (
        "lines of that file",
        f"{_HERE}the_file_of_secrets_is_readable_only_by_its_user",
    ),
    "docs/clusters.md: ray up": ("AWS", _RAY),
    "docs/clusters.md: ray start --head": ("several machines", _RAY),
    "docs/clusters.md: symmetric-run": ("Slurm", _OURS),
    "docs/clusters.md: FROM rayproject": (
        "an image",
        f"{_CLUSTERS}the_pods_image_has_the_wheel_that_was_built_and_this_ray",
    ),
    "docs/clusters.md: kind: RayJob": (
        "Kubernetes",
        f"{_CLUSTERS}the_job_of_kubernetes_has_the_keys_of_its_kind",
    ),
    "docs/clusters.md: kubectl apply": (
        "Kubernetes",
        f"{_HERE}the_commands_of_kubernetes_name_the_file_and_the_job_of_the_page",
    ),
    "docs/clusters.md: http://HEAD-SERVICE": (
        "Kubernetes",
        f"{_CLUSTERS}a_service_whose_drivers_are_elsewhere_is_reached_and_names_an_mlflow_they_reach",
    ),
    "dashboards/operators.md: prometheus --config": (
        "a service and Ray",
        f"{_DASHBOARDS}every_panel_shows_data_of_a_real_service_and_a_real_ray",
    ),
    "dashboards/operators.md: docker run": ("Grafana", _PROVISIONED),
    "dashboards/operators.md: grafana server": ("Grafana", _PROVISIONED),
    "dashboards/operators.md: handssl.service.grafana": (
        "runs in make test",
        f"{_DASHBOARDS}the_files_are_those_that_the_command_writes",
    ),
    "docs/operations.md: systemctl enable": ("systemd; runs in make test", _SERVICE),
    "docs/operations.md: [Unit]": (
        "systemd",
        f"{_HERE}the_unit_of_systemd_starts_the_service_with_options_it_has",
    ),
    "docs/operations.md: location /": (
        "nginx",
        f"{_HERE}the_proxy_of_the_page_leads_to_the_port_of_the_service",
    ),
    "docs/operations.md: /healthz": ("a service; runs in make test", _SERVICE),
    "docs/operations.md: mlflow_password": ("a service; runs in make test", _SERVICE),
    "docs/operations.md: before-upgrade": ("a service; runs in make test", _SERVICE),
    'docs/operations.md: BACKUP/today"\n': ("a service; runs in make test", _SERVICE),
    'docs/operations.md: HANDSSL_HOME"/service.db-*': ("runs in make test", _SERVICE),
    "docs/operations.md: pg_dump": (
        "PostgreSQL; runs in make test",
        f"{_OPERATIONS}a_queue_in_postgresql_is_saved_and_brought_back",
    ),
    "docs/operations.md: NEW_HOME": ("runs in make test", _SERVICE),
    "docs/operations.md: --state failed": ("a service; runs in make test", _SERVICE),
    "docs/slurm.md: handssl doctor --storage": ("Slurm", _WORDS),
    "docs/slurm.md: #SBATCH --job-name=rotate": ("Slurm; runs with stand-ins", _SCRIPT),
    "docs/slurm.md: --workers auto --quiet\n": ("Slurm", _WORDS),
    "docs/slurm.md: study run study.yaml --storage /shared/me/runs/study --quiet": (
        "Slurm",
        _WORDS,
    ),
    "docs/slurm.md: ray.init": (
        "runs in make test",
        f"{_SLURM}the_driver_stops_with_75_at_sigterm_and_goes_on_in_the_ray_it_finds",
    ),
    "docs/slurm.md: #SBATCH --job-name=study": ("Slurm; runs with stand-ins", _SCRIPT),
    "docs/slurm.md: bash -c": ("Slurm", _WORDS),
    "docs/slurm.md: --ray head.example.org": ("Slurm", _WORDS),
    "docs/slurm.md: sqlite:////tmp/mlflow.db": ("Slurm", _WORDS),
}


def test_every_block_runs_here_or_is_covered_by_a_test_that_is_named():
    walked = [name for steps in WALKS.values() for step in steps for name in step.blocks]
    known = {find(name) for name in (*walked, *QUEUE, *COVERED)}
    left = [f"{block.page}:\n{block.text}" for block in blocks() if block not in known]
    assert not left, "run these in WALKS, or add them to COVERED:\n\n" + "\n".join(left)


def test_a_block_is_not_both_run_and_excused():
    walked = {find(name) for steps in WALKS.values() for step in steps for name in step.blocks}
    assert not walked & {find(name) for name in COVERED}


@pytest.mark.parametrize("name", sorted({test for _, test in COVERED.values()}))
def test_the_tests_that_cover_blocks_exist(name):
    file, function = name.split("::")
    assert f"def {function}(" in (ROOT / file).read_text()


def test_commands_stand_in_blocks_that_name_their_language():
    pages = [(ROOT / page).read_text() for page in PAGES]
    outputs = [block.text for block in all_blocks() if block not in blocks()]
    assert all(text.count("```") % 2 == 0 for text in pages)
    command = r"(?:\$ |import |(?:handssl|mlflow|ray|make|pip) [a-z-])"
    assert not [text for text in outputs if re.search(f"^ *{command}", text, re.MULTILINE)]
    assert not [
        text for text in pages if re.search(f"^ {{4,}}{command}", without_blocks(text), re.M)
    ]


def without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def inline() -> list[str]:
    """Return commands in the text, and those of the blocks for a shell."""
    found = []
    for page in PAGES:
        text = (ROOT / page).read_text()
        found += re.findall(r"`[^`\n]*?(?<![\w/.-])(handssl [a-z][^`\n]*)`", text)
    shells = [block.text for block in blocks() if block.language.split()[0] in ("sh", "bash")]
    for text in shells:
        joined = text.replace("\\\n", " ")
        found += re.findall(r"(?<![\w/.-])(handssl [a-z][^\n|&'<>]*)", joined)
    return sorted({command for one in found for command in alternatives(one)})


def alternatives(command: str) -> list[str]:
    """Return the commands that `handssl study pause | resume` abbreviates, without comments."""
    first, *others = command.split(" #")[0].strip().split(" | ")
    start = first.rsplit(" ", 1)[0]
    return [first, *(f"{start} {other}" for other in others if re.fullmatch("[a-z]+", other))]


@pytest.mark.parametrize("line", inline())
def test_commands_have_the_verbs_and_options_they_are_given(line):
    command, words = cli, shlex.split(line.replace("...", ""))[1:]
    while isinstance(command, click.Group) and words:
        assert words[0] in command.commands, line
        command, words = command.commands[words[0]], words[1:]
    known = {name for option in command.params for name in option.opts}
    given = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert given <= known | {"--help"}, line


@pytest.fixture
def shell(tmp_path):
    """A shell in an empty folder."""
    return Shell(tmp_path, PORT=str(free_port()), COLUMNS="100")


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", WALKS)
def test_commands_and_snippets_of_the_pages_run_in_their_order(name, shell):
    for step in WALKS[name]:
        step.do(shell)


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_commands_and_snippets_of_the_queue_run_against_a_service(tmp_path):
    served, *rest = find(QUEUE[0]).text.splitlines(keepends=True)
    options = served.split("#")[0].split("--storage /shared/runs --queue default=2")[1]
    (tmp_path / "mine.yaml").write_text(MINE)
    with lab(tmp_path / "runs", *options.split()) as of:
        shell = Shell(tmp_path, HANDSSL_SERVICE=of.url)
        said = shell.paste("".join(rest).replace("compositions", "mine.yaml"))
        assert "succeeded" in said
        submitted = find(QUEUE[1]).text.split("\n", 1)[1].replace("JOB", FIRST)
        assert "completed" in shell.paste(
            submitted.replace("--priority 5", "--priority 5 | tee job")
        )
        follow = find(QUEUE[2]).text
        (tmp_path / "follow.py").write_text(f"{LOAD}{follow}")
        assert "completed" in shell.paste("python follow.py")


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_the_demo_of_make_ends_with_its_table(shell):
    printed = subprocess.check_output(["make", "-n", "-C", ROOT, "demo", "test"], text=True)
    assert re.search(r"^\.venv/bin/handssl demo$", printed, re.MULTILINE)
    assert ".venv/bin/python -m pytest" in printed
    settings = {f"data.{name}": value for name, value in DATA.items()}
    settings |= {"pretrain.epochs": 2, "pretrain.global_batch": 16, "halving.grace_epochs": 1}
    settings |= {"pretrain.encoder.width": 8, "pretrain.encoder.input_px": 32}
    said = shell.run("demo", *(f"--set={name}={value}" for name, value in settings.items()))
    for word in ("mean pose", "translate", "sobel", "block 1: ", "Page: ", "MLflow UI: "):
        assert word in said


def test_the_file_of_secrets_is_readable_only_by_its_user(tmp_path):
    lines = find("docs/clusters.md: export HANDSSL_LEDGER").text
    create = find("docs/clusters.md: install -m 600").text.splitlines()[0]
    shell = Shell(tmp_path, HOME=str(tmp_path))
    shell.paste(create)
    file = tmp_path / "handssl.env"
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text(lines)
    assert "postgresql://" in shell.paste(". ~/handssl.env && echo $HANDSSL_LEDGER")


def test_the_commands_of_kubernetes_name_the_file_and_the_job_of_the_page():
    text = find("docs/clusters.md: kubectl apply").text
    [name] = re.findall(
        r"^  name: (\w+)$", find("docs/clusters.md: kind: RayJob").text, re.MULTILINE
    )
    assert re.findall(r"apply -f (\w+)\.yaml", text) == [name]
    assert re.findall(r"job/(\w+)", text) == [name]
    assert "handssl.env" in text


def test_the_unit_of_systemd_starts_the_service_with_options_it_has():
    unit = find("docs/operations.md: [Unit]").text
    [line] = re.findall(r"^ExecStart=\S*/handssl (.*)$", unit, re.MULTILINE)
    test_commands_have_the_verbs_and_options_they_are_given(f"handssl {line}")


def test_the_proxy_of_the_page_leads_to_the_port_of_the_service():
    from handssl.service.options import Options

    [port] = re.findall(
        r"proxy_pass http://127\.0\.0\.1:(\d+);", find("docs/operations.md: location /").text
    )
    assert int(port) == Options(Path(), "").port
