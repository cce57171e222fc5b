"""TensorBoard: writing logs, reading them back, showing them in a notebook (Day 34)."""

import io
import logging
import math
import os
import shlex
import sys
import warnings
from pathlib import Path

import numpy as np

from nnweek._validate import one_of

PICTURES = Path(__file__).parent / "pictures"  # screenshots of TensorBoard
WHOLE = "https://github.com/nnweek/week5-neural-networks/blob/main/nnweek/pictures"
# What the text speaks of: left, top, right, bottom in pixels of the page, of which the screenshot
# has two for each.
PARTS = {
    "losses": (258, 112, 1280, 703),
    "all-points": (258, 112, 1280, 703),
    "graphs": (340, 66, 810, 757),
    "histograms": (320, 120, 1000, 680),
    "spikes": (325, 115, 1010, 445),
    "hparams": (258, 66, 1280, 335),
    "projector": (314, 74, 980, 757),
}
ALL_SCALARS = "scalars=100000"  # per curve; 0 should mean all of them, but shows none
EVENT_FILES = "events.out.tfevents.*"


def open_run(log_dir):
    """Start a TensorBoard run in a folder, replacing an earlier run there.

    Introduced on Day 34. TensorBoard would draw two runs in one folder as a single zigzag
    line, so the event files of an earlier run are deleted. Nothing else in the folder is
    touched, and no folder below it.

    Args:
        log_dir: the run's folder; it is created if necessary.

    Returns:
        A `torch.utils.tensorboard.SummaryWriter`; close it, or use it in a `with` block.
    """
    from torch.utils.tensorboard import SummaryWriter

    for old in Path(log_dir).glob(EVENT_FILES):
        old.unlink()
    return SummaryWriter(log_dir=str(log_dir))


def start_tensorboard(log_dir="runs"):
    """Start TensorBoard inside a notebook, as `%tensorboard` does. Introduced on Day 34.

    It accepts connections from this machine only and ends with the kernel. It keeps every
    scalar, where TensorBoard by itself keeps 1,000 per curve. It finds the environment's own
    executable even if that is not on PATH (as in VS Code). On a JupyterHub it is shown through
    jupyter-server-proxy, which must be installed there.

    Args:
        log_dir: the folder that contains the runs' folders.
    """
    from tensorboard import notebook

    for name in ("tensorboard", "tensorboard.exe"):  # the second on Windows
        program = Path(sys.executable).with_name(name)
        if program.exists():
            os.environ.setdefault("TENSORBOARD_BINARY", str(program))
    prefix = os.environ.get("JUPYTERHUB_SERVICE_PREFIX")
    if prefix:
        os.environ.setdefault("TENSORBOARD_PROXY_URL", f"{prefix}proxy/%PORT%/")
    notebook.start(f"--logdir {shlex.quote(str(log_dir))} --samples_per_plugin {ALL_SCALARS}")


def add_graph(writer, model, example):
    """Log a model's computation graph, traced on one example batch. Introduced on Day 34.

    Args:
        writer: a `SummaryWriter`.
        model: an `nn.Module`.
        example: a batch of inputs.
    """
    with warnings.catch_warnings():
        # add_graph uses torch.jit.trace, which emits a deprecation warning.
        warnings.simplefilter("ignore")
        writer.add_graph(model, example)


def add_projector(log_dir, vectors, labels, images=None):
    """Log vectors for TensorBoard's *Projector* tab. Introduced on Day 34.

    `SummaryWriter.add_embedding` does the same, but fails if TensorFlow is installed, as in
    Colab. So this function writes the few files that the tab reads. Earlier vectors in the
    folder are replaced.

    Args:
        log_dir: the run's folder; it is created if necessary.
        vectors: (N, D) array or tensor, one point per row.
        labels: (N,), shown beside the points.
        images: (N, height, width), 0 to 1, shown as the points.

    Raises:
        ValueError: if the lengths differ, or there is no vector.
    """
    from matplotlib.image import imsave
    from tensorboard.plugins.projector import ProjectorConfig

    vectors = np.asarray(vectors.detach().cpu() if hasattr(vectors, "detach") else vectors)
    labels = [str(label) for label in np.asarray(labels).tolist()]
    if vectors.ndim != 2 or len(vectors) == 0 or len(vectors) != len(labels):
        raise ValueError(
            f"vectors must have shape (N, D) with N at least 1, and one label each; got shape "
            f"{vectors.shape} and {len(labels)} labels"
        )
    folder = Path(log_dir)
    folder.mkdir(parents=True, exist_ok=True)
    np.savetxt(folder / "vectors.tsv", vectors, fmt="%.5g", delimiter="\t")
    (folder / "labels.tsv").write_text("\n".join(labels) + "\n", encoding="utf-8")
    config = ProjectorConfig()
    embedding = config.embeddings.add(tensor_path="vectors.tsv", metadata_path="labels.tsv")
    if images is not None:
        images = np.asarray(images)
        if images.ndim != 3 or len(images) != len(vectors):
            raise ValueError(
                f"images must have shape ({len(vectors)}, height, width), got {images.shape}"
            )
        _, height, width = images.shape
        side = math.ceil(math.sqrt(len(images)))  # the tab reads one square sheet of images
        sheet = np.zeros((side * side, height, width))
        sheet[: len(images)] = 1 - images  # dark on white
        sheet = sheet.reshape(side, side, height, width).swapaxes(1, 2)
        imsave(folder / "images.png", sheet.reshape(side * height, -1), cmap="gray", vmin=0, vmax=1)
        embedding.sprite.image_path = "images.png"
        embedding.sprite.single_image_dim.extend([width, height])
    (folder / "projector_config.pbtxt").write_text(str(config), encoding="utf-8")


def read_scalars(log_dir):
    """Read every scalar back from the event files of a folder. Introduced on Day 34.

    If the folder contains the folders of other runs, these are read, too.

    Args:
        log_dir: the folder of a run, or of several.

    Returns:
        {tag: (steps, values)}, two lists of equal length for each tag. A tag from a folder
        inside `log_dir` has the folder in front: `train/Loss`.

    Raises:
        FileNotFoundError: if neither the folder nor one inside it contains an event file.
    """
    scalars = {}
    for folder in _runs(log_dir) or [Path(log_dir)]:
        events = _events(folder)
        inside = folder.relative_to(log_dir).as_posix()
        for tag, curve in _by_tag(
            events.Tags()["scalars"], events.Scalars, lambda event: event.value
        ).items():
            scalars[tag if inside == "." else f"{inside}/{tag}"] = curve
    return scalars


def steps_shown(log_dir, tag):
    """Return the steps of a scalar that TensorBoard shows by default. Introduced on Day 34.

    It keeps a random sample of 1,000 points per curve. Which they are differs between its two
    readers; this is the one that is written in Python.

    Args:
        log_dir: the folder of one run.
        tag: the tag of the scalar.
    """
    from tensorboard.backend.event_processing.data_ingester import DEFAULT_TENSOR_SIZE_GUIDANCE
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

    sample = EventAccumulator(str(log_dir), tensor_size_guidance=DEFAULT_TENSOR_SIZE_GUIDANCE)
    return [event.step for event in _reloaded(sample).Tensors(tag)]


def read_histograms(log_dir):
    """Read every histogram of a run, as `read_scalars` reads scalars. Introduced on Day 34.

    Returns:
        {tag: (steps, histograms)}; a histogram is (edges, counts), two arrays with one edge
        more than counts.
    """

    def histogram(event):
        values = event.histogram_value
        # The first bucket ends at the smallest value and is empty.
        return np.array(values.bucket_limit), np.array(values.bucket)[1:]

    events = _events(log_dir)
    return _by_tag(events.Tags()["histograms"], events.Histograms, histogram)


def read_images(log_dir):
    """Read every image of a run, as `read_scalars` reads scalars. Introduced on Day 34.

    Returns:
        {tag: (steps, images)}; an image is (height, width, channels) with values from 0 to 1.
    """
    from matplotlib.image import imread

    def image(event):
        return imread(io.BytesIO(event.encoded_image_string), format="png")

    events = _events(log_dir)
    return _by_tag(events.Tags()["images"], events.Images, image)


def read_pr_curves(log_dir):
    """Read every precision-recall curve, as `read_scalars` reads scalars. Introduced on Day 34.

    Returns:
        {tag: (steps, curves)}; a curve is (thresholds, precision, recall), three arrays.
    """
    from tensorboard.util.tensor_util import make_ndarray

    def curve(event):
        *_, precision, recall = make_ndarray(event.tensor_proto)  # four counts come first
        return np.linspace(0, 1, len(recall)), precision, recall

    events = _events(log_dir)
    return _by_tag(_logged_by(events, "pr_curves"), events.Tensors, curve)


def read_hparams(log_dir):
    """Read the hyperparameters and metrics that `add_hparams` logged. Introduced on Day 34.

    Args:
        log_dir: the folder that contains the runs' folders.

    Returns:
        {run: (settings, metrics)}, two dictionaries for each run that logged settings.

    Raises:
        FileNotFoundError: if no run in the folder logged settings.
    """
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    runs = {}
    for folder in _runs(log_dir):
        events = _events(folder)
        content = _logged_by(events, "hparams")
        if not content:
            continue
        session = HParamsPluginData.FromString(content["_hparams_/session_start_info"])
        settings = {
            name: getattr(value, value.WhichOneof("kind"))
            for name, value in session.session_start_info.hparams.items()
        }
        experiment = HParamsPluginData.FromString(content["_hparams_/experiment"])
        metrics = {
            info.name.tag: events.Scalars(info.name.tag)[-1].value
            for info in experiment.experiment.metric_infos
        }
        runs[folder.relative_to(log_dir).as_posix()] = settings, metrics
    if not runs:
        raise FileNotFoundError(f"no run in {log_dir} has logged its settings")
    return runs


def _runs(log_dir):
    """Return the folder and those inside it, as far as they contain event files."""
    return sorted({file.parent for file in Path(log_dir).rglob(EVENT_FILES)})


def _events(log_dir):
    """Load all event files of a run."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    if not any(Path(log_dir).glob(EVENT_FILES)):
        raise FileNotFoundError(
            f"{log_dir} contains no TensorBoard event file: was the run logged?"
        )
    # 0 keeps all points; the default keeps a random sample of a long run.
    everything = {"scalars": 0, "histograms": 0, "images": 0, "tensors": 0}
    return _reloaded(EventAccumulator(str(log_dir), size_guidance=everything))


def _reloaded(accumulator):
    """Let an accumulator read its run, without the warning that a graph was logged twice."""
    logger = logging.getLogger("tensorboard")
    logger.addFilter(_not_about_graphs)
    try:
        return accumulator.Reload()
    finally:
        logger.removeFilter(_not_about_graphs)


def _not_about_graphs(record):
    """Drop the warning that a graph was logged twice, as it is when a cell is run again."""
    return not record.getMessage().startswith("Found more than one")


def _by_tag(tags, events_of, value_of):
    """Return {tag: (steps, values)}, from all events of each tag."""
    logged = {}
    for tag in tags:
        events = events_of(tag)
        logged[tag] = [event.step for event in events], [value_of(event) for event in events]
    return logged


def _logged_by(events, plugin):
    """Return {tag: content} of a TensorBoard plugin, empty if it logged nothing."""
    try:
        return events.PluginTagToContent(plugin)
    except KeyError:
        return {}


def show_screenshot(tab):
    """Show a screenshot of TensorBoard with the runs of Day 34. Introduced on Day 34.

    Where the text speaks of a part only, the part is shown, with a link to the whole page.
    `make pictures` takes new screenshots.

    Args:
        tab: the name of a file in `nnweek/pictures`, such as "scalars".

    Raises:
        ValueError: if there is no screenshot of that tab.
    """
    from IPython import get_ipython
    from IPython.display import Image, Markdown, display
    from PIL import Image as Pillow

    from nnweek._figures import alt_text

    one_of("tab", tab, tuple(sorted(path.stem for path in PICTURES.glob("*.png"))))
    file = io.BytesIO()
    with Pillow.open(PICTURES / f"{tab}.png") as picture:
        caption = picture.info.get("Description", "")
        part = [2 * edge for edge in PARTS[tab]] if tab in PARTS else (0, 0, *picture.size)
        picture.crop(part).save(file, "PNG", optimize=True)
    if tab in PARTS:
        caption += f" [The whole page]({WHOLE}/{tab}.png)."
    alt = alt_text(get_ipython()) or f"TensorBoard, {tab}"
    note = Markdown(f"<small>{caption}</small>")  # a record of the picture, not text of the lesson
    display(Image(file.getvalue(), alt=alt, retina=True), note)
