"""TensorBoard logs, written and read back (Day 34)."""

import io
import math
import os
import shlex
import sys
import warnings
from pathlib import Path

from nnweek._validate import one_of

PICTURES = Path(__file__).parent / "pictures"  # of the real TensorBoard
EVENT_FILES = "events.out.tfevents.*"


def open_run(log_dir):
    """Start a TensorBoard run in a folder, replacing an earlier run there.

    Two runs in one folder would be drawn as one zigzag line, so the event files
    of an earlier run are deleted; nothing else in the folder is touched. A training that
    `nnweek.training.fit` resumes from a checkpoint logs its earlier epochs again, so that
    its curves are whole.
    Introduced on Day 34.

    Args:
        log_dir: the run's folder; it is made if need be.

    Returns:
        A `torch.utils.tensorboard.SummaryWriter`; close it, or use it in a `with` block.
    """
    from torch.utils.tensorboard import SummaryWriter

    for old in Path(log_dir).glob(EVENT_FILES):
        old.unlink()
    return SummaryWriter(log_dir=str(log_dir))


def start_tensorboard(log_dir="runs"):
    """Start TensorBoard inside a notebook, as `%tensorboard` does. Introduced on Day 34.

    It serves this machine only, and goes on until the kernel's machine stops it. Also where
    the environment's programs are not on the path, as in VS Code, it finds its own.

    Args:
        log_dir: the folder that holds the runs' folders.
    """
    from tensorboard import notebook

    program = Path(sys.executable).with_name("tensorboard")
    if program.exists():
        os.environ.setdefault("TENSORBOARD_BINARY", str(program))
    notebook.start(f"--logdir {shlex.quote(str(log_dir))}")


def add_graph(writer, model, example):
    """Log a model's computation graph, traced on one example batch. Introduced on Day 34."""
    with warnings.catch_warnings():
        # TensorBoard's graph needs torch.jit.trace, which warns of its own age.
        warnings.simplefilter("ignore")
        writer.add_graph(model, example)


def add_projector(log_dir, vectors, labels, images=None):
    """Log vectors for TensorBoard's *Projector* tab. Introduced on Day 34.

    `SummaryWriter.add_embedding` does the same, but fails where TensorFlow is installed, as
    in Colab; so the few files that the tab reads are written here. An earlier projector in
    the folder is replaced.

    Args:
        log_dir: the run's folder; it is made if need be.
        vectors: (N, D) array or tensor, one point a row.
        labels: (N,), shown beside the points.
        images: (N, height, width), 0 to 1, shown as the points.

    Raises:
        ValueError: if the three differ in length, or there is no vector.
    """
    import numpy as np

    vectors = np.asarray(vectors.detach().cpu() if hasattr(vectors, "detach") else vectors)
    labels = [str(label) for label in np.asarray(labels).tolist()]
    if vectors.ndim != 2 or len(vectors) == 0 or len(vectors) != len(labels):
        raise ValueError(
            f"vectors must have shape (N, D), with one label each and N at least 1; got shape "
            f"{vectors.shape} and {len(labels)} labels"
        )
    folder = Path(log_dir)
    folder.mkdir(parents=True, exist_ok=True)
    np.savetxt(folder / "vectors.tsv", vectors, fmt="%.5g", delimiter="\t")
    (folder / "labels.tsv").write_text("\n".join(labels) + "\n", encoding="utf-8")
    config = 'embeddings {\n  tensor_path: "vectors.tsv"\n  metadata_path: "labels.tsv"\n'
    if images is not None:
        images = np.asarray(images)
        if images.ndim != 3 or len(images) != len(vectors):
            raise ValueError(
                f"images must have shape ({len(vectors)}, height, width), got {images.shape}"
            )
        _, height, width = images.shape
        side = math.ceil(math.sqrt(len(images)))  # the tab wants one square sheet of them
        sheet = np.zeros((side * side, height, width))
        sheet[: len(images)] = 1 - images  # dark on white
        sheet = sheet.reshape(side, side, height, width).swapaxes(1, 2)
        from matplotlib.image import imsave

        imsave(folder / "images.png", sheet.reshape(side * height, -1), cmap="gray", vmin=0, vmax=1)
        config += (
            '  sprite {\n    image_path: "images.png"\n'
            f"    single_image_dim: {width}\n    single_image_dim: {height}\n  }}\n"
        )
    (folder / "projector_config.pbtxt").write_text(config + "}\n", encoding="utf-8")


def read_scalars(log_dir):
    """Read every scalar of a run back from its event files. Introduced on Day 34.

    Args:
        log_dir: the run's folder.

    Returns:
        {tag: (steps, values)}, two lists of equal length for each tag.

    Raises:
        FileNotFoundError: if the folder holds no event file.
    """
    events = _events(log_dir)
    return {
        tag: ([point.step for point in points], [point.value for point in points])
        for tag in events.Tags()["scalars"]
        for points in [events.Scalars(tag)]
    }


def read_histograms(log_dir):
    """Read every histogram of a run back from its event files. Introduced on Day 34.

    Args:
        log_dir: the run's folder.

    Returns:
        {tag: (steps, histograms)}; a histogram is (edges, counts), two arrays, with one edge
        more than counts.

    Raises:
        FileNotFoundError: if the folder holds no event file.
    """
    import numpy as np

    events, histograms = _events(log_dir), {}
    for tag in events.Tags()["histograms"]:
        steps, found = [], []
        for event in events.Histograms(tag):
            steps.append(event.step)
            # The first bucket ends where the values begin, and is empty.
            edges, counts = (
                np.array(event.histogram_value.bucket_limit),
                np.array(event.histogram_value.bucket),
            )
            found.append((edges, counts[1:]))
        histograms[tag] = steps, found
    return histograms


def read_images(log_dir):
    """Read every image of a run back from its event files. Introduced on Day 34.

    Args:
        log_dir: the run's folder.

    Returns:
        {tag: (steps, images)}; an image is (height, width, channels) with values from 0 to 1.

    Raises:
        FileNotFoundError: if the folder holds no event file.
    """
    from matplotlib.image import imread

    events = _events(log_dir)
    return {
        tag: (
            [image.step for image in images],
            [imread(io.BytesIO(image.encoded_image_string), format="png") for image in images],
        )
        for tag in events.Tags()["images"]
        for images in [events.Images(tag)]
    }


def read_pr_curves(log_dir):
    """Read every precision-recall curve of a run back. Introduced on Day 34.

    Args:
        log_dir: the run's folder.

    Returns:
        {tag: (steps, curves)}; a curve is (thresholds, precision, recall), three arrays.

    Raises:
        FileNotFoundError: if the folder holds no event file.
    """
    import numpy as np
    from tensorboard.util.tensor_util import make_ndarray

    events, found = _events(log_dir), {}
    for tag in events.PluginTagToContent("pr_curves") if _has(events, "pr_curves") else ():
        points = events.Tensors(tag)
        curves = []
        for point in points:
            *_, precision, recall = make_ndarray(point.tensor_proto)  # and four counts before
            curves.append((np.linspace(0, 1, len(recall)), precision, recall))
        found[tag] = [point.step for point in points], curves
    return found


def read_hparams(log_dir):
    """Read what `add_hparams` logged in the runs below a folder. Introduced on Day 34.

    Args:
        log_dir: the folder that holds the runs' folders.

    Returns:
        {run: (settings, metrics)}, two dictionaries for each run that has settings.

    Raises:
        FileNotFoundError: if no run below the folder has settings.
    """
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    found = {}
    for folder in sorted({file.parent for file in Path(log_dir).rglob(EVENT_FILES)}):
        events = _events(folder)
        if not _has(events, "hparams"):
            continue
        content = events.PluginTagToContent("hparams")
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
        found[folder.relative_to(log_dir).as_posix()] = settings, metrics
    if not found:
        raise FileNotFoundError(f"no run below {log_dir} has logged its settings")
    return found


def _events(log_dir):
    """Everything in a run's event files."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    if not any(Path(log_dir).glob(EVENT_FILES)):
        raise FileNotFoundError(f"{log_dir} holds no TensorBoard event file: was the run logged?")
    # 0 keeps all points; the default would thin a long run out at random.
    everything = {"scalars": 0, "histograms": 0, "images": 0, "tensors": 0}
    return EventAccumulator(str(log_dir), size_guidance=everything).Reload()


def _has(events, plugin):
    """Whether a plugin of TensorBoard has left anything among the events."""
    try:
        return bool(events.PluginTagToContent(plugin))
    except KeyError:
        return False


def show_screenshot(tab):
    """Show the real TensorBoard with the runs of Day 34, in a picture taken of it.

    `make pictures` takes them anew. Introduced on Day 34.

    Args:
        tab: "scalars", "graphs", "histograms" or "projector".

    Raises:
        ValueError: if there is no picture of that tab.
    """
    from IPython.display import Image, Markdown, display
    from PIL import Image as Pillow

    one_of("tab", tab, tuple(sorted(path.stem for path in PICTURES.glob("*.png"))))
    path = PICTURES / f"{tab}.png"
    with Pillow.open(path) as picture:
        caption = picture.info.get("Description", "")
    display(Image(path.read_bytes()), Markdown(caption))
