"""TensorBoard: writing and reading logs, and the real program (Day 34)."""

import ast
import importlib
import json
import math
import os
import re
import runpy
import shlex
import urllib.request
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
import torch
from matplotlib.image import imread
from nbclient import NotebookClient

from nnweek.models import MNISTMLP
from nnweek.tracking import (
    ALL_SCALARS,
    PARTS,
    PICTURES,
    add_graph,
    add_projector,
    open_run,
    read_histograms,
    read_hparams,
    read_images,
    read_pr_curves,
    read_scalars,
    show_screenshot,
    start_tensorboard,
    steps_shown,
)
from support import ROOT


def event_files(folder):
    return sorted(folder.glob("events.out.tfevents.*"))


def test_run_is_read_back_as_logged(tmp_path):
    with open_run(tmp_path / "new" / "run") as writer:
        for step, value in [(0, 2.5), (10, 1.25), (20, math.nan)]:
            writer.add_scalar("Loss/train", value, step)
        writer.add_scalar("Accuracy/val", 0.5, 20)

    curves = read_scalars(tmp_path / "new" / "run")

    assert curves.keys() == {"Loss/train", "Accuracy/val"}
    steps, values = curves["Loss/train"]
    assert steps == [0, 10, 20]
    np.testing.assert_array_equal(values, [2.5, 1.25, np.nan])
    assert curves["Accuracy/val"] == ([20], [0.5])


def test_second_run_replaces_only_the_first(tmp_path):
    names = ["notes.txt", "model.pth", "adam/events.out.tfevents.1"]
    others = [tmp_path / name for name in names]
    with open_run(tmp_path) as writer:
        writer.add_scalar("Loss", 1.0, 1)
        writer.add_scalar("only in the first run", 1.0, 1)
    (tmp_path / "adam").mkdir()
    for path in others:
        path.write_text("keep me")

    with open_run(tmp_path) as writer:
        writer.add_scalar("Loss", 2.0, 1)

    assert len(event_files(tmp_path)) == 1
    assert all(path.read_text() == "keep me" for path in others)
    (tmp_path / "adam" / "events.out.tfevents.1").unlink()
    assert read_scalars(tmp_path) == {"Loss": ([1], [2.0])}


def test_runs_inside_a_folder_are_read_with_their_folder_in_the_tag(tmp_path):
    for place, value in [("train", 1.0), ("val", 2.0), (".", 3.0)]:
        with open_run(tmp_path / "mine" / place) as writer:
            writer.add_scalar("Loss", value, 7)
    (tmp_path / "mine" / "notes").mkdir()

    assert read_scalars(tmp_path / "mine") == {
        "Loss": ([7], [3.0]),
        "train/Loss": ([7], [1.0]),
        "val/Loss": ([7], [2.0]),
    }
    assert read_scalars(tmp_path / "mine" / "val") == {"Loss": ([7], [2.0])}


def test_long_runs_are_read_back_completely(tmp_path):
    """By default, TensorBoard's reader keeps a sample of 10,000 points."""
    n = 10_500
    with open_run(tmp_path) as writer:
        for step in range(n):
            writer.add_scalar("Loss", step / 4, step)
    assert read_scalars(tmp_path) == {"Loss": (list(range(n)), [step / 4 for step in range(n)])}


@pytest.mark.parametrize("folder", ["missing", "."])
def test_folder_without_a_log_is_named(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="contains no TensorBoard event file") as error:
        read_scalars(tmp_path / folder)
    assert str(tmp_path / folder) in str(error.value)


@pytest.mark.filterwarnings("error")
def test_logging_a_graph_gives_no_warning_and_keeps_the_model(tmp_path):
    model = MNISTMLP(16, 4, 2, seed=0)
    before, generator = [p.clone() for p in model.parameters()], torch.get_rng_state()
    with open_run(tmp_path) as writer:
        add_graph(writer, model, torch.zeros(1, 1, 4, 4))
    assert b"Linear" in event_files(tmp_path)[0].read_bytes()
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))
    assert model.training
    assert torch.equal(torch.get_rng_state(), generator)


def test_graph_that_was_logged_twice_gives_no_warning(tmp_path, caplog):
    """As it is when its cell is run again, after the writer was closed."""
    with open_run(tmp_path) as writer:
        writer.add_scalar("Loss", 0.5, 1)
        for _ in range(2):
            add_graph(writer, MNISTMLP(16, 4, 2), torch.zeros(1, 1, 4, 4))
            writer.close()
    assert read_scalars(tmp_path) == {"Loss": ([1], [0.5])}
    assert caplog.text == ""


def test_histogram_is_read_back_with_its_counts(tmp_path):
    values = {step: np.random.default_rng(step).normal(0, step, 500) for step in (1, 3)}
    with open_run(tmp_path) as writer:
        for step, drawn in values.items():
            writer.add_histogram("Weights", drawn, step)
        writer.add_histogram("all zero", torch.zeros(7), 1)

    histograms = read_histograms(tmp_path)

    steps, found = histograms["Weights"]
    assert steps == [1, 3]
    for step, (edges, counts) in zip(steps, found, strict=True):
        assert len(edges) == len(counts) + 1
        assert (np.diff(edges) > 0).all()
        np.testing.assert_array_equal(counts, np.histogram(values[step], edges)[0])
        assert counts.sum() == 500
    _, [(edges, counts)] = histograms["all zero"]
    assert counts.sum() == 7
    assert edges[0] <= 0 <= edges[-1]


def test_image_is_read_back_exactly(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, size=(3, 5, 4), dtype=np.uint8)
    with open_run(tmp_path) as writer:
        writer.add_image("one", image, 7)
        writer.add_image("grey", image[:1], 8)
    images = read_images(tmp_path)
    steps, [read] = images["one"]
    assert steps == [7]
    np.testing.assert_allclose(read, image.transpose(1, 2, 0) / 255, atol=1e-6)
    _, [grey] = images["grey"]
    np.testing.assert_allclose(grey[..., 0], image[0] / 255, atol=1e-6)


def test_precision_recall_curve_matches_scikit_learn(tmp_path):
    from sklearn.metrics import precision_score, recall_score

    rng = np.random.default_rng(0)
    labels = rng.random(200) < 0.3
    probs = np.clip(0.3 * labels + 0.7 * rng.random(200), 0, 1)
    with open_run(tmp_path) as writer:
        writer.add_pr_curve("digit 3", labels, probs, 5)
    steps, [(thresholds, precision, recall)] = read_pr_curves(tmp_path)["digit 3"]
    assert steps == [5]
    assert len(thresholds) == len(precision) == len(recall)
    assert (thresholds[0], thresholds[-1]) == (0, 1)
    for k in range(5, len(thresholds) - 20, 10):
        predicted = probs >= thresholds[k]
        assert precision[k] == pytest.approx(precision_score(labels, predicted), abs=0.03)
        assert recall[k] == pytest.approx(recall_score(labels, predicted), abs=0.03)


def test_settings_are_read_back_with_their_metrics(tmp_path):
    for lr in (0.1, 0.01):
        with open_run(tmp_path / "some" / f"lr={lr}") as writer:
            writer.add_scalar("Loss/val", lr, 1)
            writer.add_hparams(
                {"lr": lr, "hidden": 32, "activation": "relu", "bias": True},
                {"Best/val accuracy": 1 - lr},
                run_name=".",
            )
    with open_run(tmp_path / "without settings") as writer:
        writer.add_scalar("Loss/val", 1, 1)

    settings = read_hparams(tmp_path)

    assert settings.keys() == {"some/lr=0.1", "some/lr=0.01"}
    given, metrics = settings["some/lr=0.01"]
    assert given == {"lr": 0.01, "hidden": 32, "activation": "relu", "bias": True}
    assert metrics == {"Best/val accuracy": pytest.approx(0.99)}
    assert read_scalars(tmp_path / "some" / "lr=0.1")["Loss/val"][0] == [1], "the same run"


def test_run_without_other_data_reads_back_empty(tmp_path):
    with open_run(tmp_path) as writer:
        writer.add_scalar("Loss", 1.0, 1)
    assert read_histograms(tmp_path) == read_images(tmp_path) == read_pr_curves(tmp_path) == {}
    with pytest.raises(FileNotFoundError, match="has logged its settings"):
        read_hparams(tmp_path)


def test_projector_files_are_readable_by_tensorboard(tmp_path):
    """Parsed with TensorBoard's own definition of the configuration."""
    from google.protobuf import text_format
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    vectors = torch.randn(10, 3, requires_grad=True)
    images = np.random.default_rng(0).random((10, 6, 4))
    add_projector(tmp_path / "run", vectors, torch.arange(10), images)

    text = (tmp_path / "run" / "projector_config.pbtxt").read_text(encoding="utf-8")
    (embedding,) = text_format.Parse(text, ProjectorConfig()).embeddings
    assert list(embedding.sprite.single_image_dim) == [4, 6]  # width, height
    table = np.loadtxt(tmp_path / "run" / embedding.tensor_path, delimiter="\t")
    np.testing.assert_allclose(table, vectors.detach(), rtol=1e-3)
    labels = (tmp_path / "run" / embedding.metadata_path).read_text(encoding="utf-8")
    assert labels.splitlines() == list("0123456789")
    sheet = imread(tmp_path / "run" / embedding.sprite.image_path)[..., 0]
    assert sheet.shape == (4 * 6, 4 * 4)
    np.testing.assert_allclose(sheet[6:12, 4:8], 1 - images[5], atol=2 / 255)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((np.ones(3), [1, 2, 3]), "vectors"),
        ((np.ones((3, 2)), [1, 2]), "2 labels"),
        ((np.ones((0, 2)), []), "N at least 1"),
        ((np.ones((3, 2)), [1, 2, 3], np.ones((2, 4, 4))), "images"),
    ],
)
def test_projector_data_of_unequal_length_is_refused(arguments, named, tmp_path):
    with pytest.raises(ValueError, match=named):
        add_projector(tmp_path, *arguments)


@pytest.fixture(scope="module")
def pictures():
    tool = SimpleNamespace(**runpy.run_path(str(ROOT / ".ci" / "pictures.py")))
    if tool.missing():
        pytest.skip(tool.missing())
    return tool


@pytest.mark.slow
def test_tensorboard_shows_what_was_logged(pictures, tmp_path):
    """With a local server and a real browser."""
    with open_run(tmp_path / "runs" / "first try") as writer:
        for step in range(5):
            writer.add_scalar("Loss/train", 1 / (step + 1), step)
        writer.add_histogram("Weights/first", torch.randn(50), 1)
        add_graph(writer, MNISTMLP(16, 4, 2), torch.zeros(1, 1, 4, 4))
    with pictures.tensorboard(tmp_path / "runs") as address, pictures.browser() as page:
        assert address.startswith("http://127.0.0.1:")
        page.open(f"{address}/#timeseries")
        pictures.wait_for(page, "Loss/train", "Weights/first", "first try")
        page.open(f"{address}/#graphs")
        pictures.wait_for(page, "MNISTMLP")


def test_screenshot_has_a_caption(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *things: shown.extend(things))
    show_screenshot("scalars")
    show_screenshot("graphs")
    whole, caption, part, linked = shown
    assert whole.data.startswith(b"\x89PNG")
    assert "taken on" in caption.data
    assert (whole.alt, part.alt) == ("TensorBoard, scalars", "TensorBoard, graphs")
    width, height = (int.from_bytes(part.data[at : at + 4], "big") for at in (16, 20))
    assert width < 2 * 700, "a phone shows all of it"
    assert height < 2 * 757
    same = caption.data.removesuffix("</small>")
    assert linked.data.startswith(same), "the same caption, and a link to the whole page"
    assert (ROOT / linked.data.split("/blob/main/")[1].split(")")[0]).is_file()
    with pytest.raises(ValueError, match="scalars"):
        show_screenshot("nothing")


def test_screenshots_are_small_and_dated():
    from PIL import Image

    taken = sorted(PICTURES.glob("*.png"))
    assert {path.stem for path in taken} == PARTS.keys() | {"scalars"}
    for path in taken:
        assert path.stat().st_size < 120_000
        with Image.open(path) as picture:
            assert picture.width == 2 * 1280
            assert re.search(
                r"TensorBoard \d+\.\d+\.\d+ .*taken on \d+ \w+ 20\d\d", picture.info["Description"]
            )


@pytest.fixture
def started(monkeypatch):
    """The arguments with which TensorBoard would be started in a notebook."""
    arguments = []
    notebook = importlib.import_module("tensorboard.notebook")  # not its lazy proxy
    monkeypatch.setattr(notebook, "start", arguments.append)
    monkeypatch.setattr("tensorboard.notebook", notebook)
    for name in ("TENSORBOARD_BINARY", "TENSORBOARD_PROXY_URL", "JUPYTERHUB_SERVICE_PREFIX"):
        monkeypatch.setenv(name, "")  # so that it is restored
        monkeypatch.delenv(name)
    return arguments


def test_folder_name_cannot_become_an_option(started):
    """Such as one that would serve other machines."""
    start_tensorboard("runs --bind_all 'x")
    folder = ["--logdir", "runs --bind_all 'x"]
    assert shlex.split(started[0]) == [*folder, "--samples_per_plugin", ALL_SCALARS]


@pytest.mark.parametrize("name", ["tensorboard", "tensorboard.exe"])
def test_executable_beside_python_is_found(name, started, tmp_path, monkeypatch):
    """On Windows it has a suffix."""
    (tmp_path / name).touch()
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    start_tensorboard()
    assert os.environ["TENSORBOARD_BINARY"] == str(tmp_path / name)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, None),
        ({"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"}, "/user/ada/proxy/%PORT%/"),
        ({"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/", "TENSORBOARD_PROXY_URL": "mine"}, "mine"),
    ],
)
def test_tensorboard_on_a_hub_is_shown_through_its_proxy(given, expected, started, monkeypatch):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    start_tensorboard()
    assert os.environ.get("TENSORBOARD_PROXY_URL") == expected


@pytest.mark.slow
def test_tensorboard_keeps_a_thousand_points_unless_asked_for_more(pictures, tmp_path):
    with open_run(tmp_path / "runs" / "long") as writer:
        for step in range(1200):
            writer.add_scalar("Loss", 1.0, step)
    assert len(steps_shown(tmp_path / "runs" / "long", "Loss")) == 1000
    kept = []
    for options in ([], ["--samples_per_plugin", ALL_SCALARS]):
        with pictures.tensorboard(tmp_path / "runs", *options) as address:
            page = f"{address}/data/plugin/scalars/scalars?run=long&tag=Loss"
            with urllib.request.urlopen(page, timeout=60) as answer:
                kept.append(len(json.load(answer)))
    assert kept == [1000, 1200]


@pytest.mark.slow
def test_tensorboard_in_a_notebook_serves_only_this_machine(tmp_path):
    with open_run(tmp_path / "runs" / "first") as writer:
        writer.add_scalar("Loss", 1.0, 1)
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [
        nbformat.v4.new_code_cell(
            "from nnweek.tracking import start_tensorboard\nstart_tensorboard('runs')"
        ),
        nbformat.v4.new_code_cell(
            "import os, signal, psutil, urllib.request\n"
            "from tensorboard import manager\n"
            "for one in manager.get_all():\n"
            "    if one.logdir == 'runs' and os.getpid() == psutil.Process(one.pid).ppid():\n"
            "        address = f'http://localhost:{one.port}/data/runs'\n"
            "        print(urllib.request.urlopen(address).read().decode())\n"
            "        listening = psutil.Process(one.pid).net_connections('tcp')\n"
            "        print({c.laddr.ip for c in listening if c.status == 'LISTEN'})\n"
            "        os.kill(one.pid, signal.SIGTERM)"
        ),
    ]
    environment = {**os.environ, "PATH": os.defpath, "TMPDIR": str(tmp_path)}
    resources = {"metadata": {"path": str(tmp_path)}}
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources)
    client.execute(env=environment)
    shown = "".join(
        output.get("data", {}).get("text/html", "") for output in notebook.cells[0].outputs
    )
    assert "<iframe" in shown
    runs, addresses = notebook.cells[1].outputs[0]["text"].splitlines()
    assert json.loads(runs) == ["first"]
    assert set(ast.literal_eval(addresses)) <= {"127.0.0.1", "::1"}
