"""TensorBoard logs, written and read back (Day 34)."""

import warnings
from pathlib import Path


def open_run(log_dir):
    """Start a TensorBoard run in a folder, replacing an earlier run there.

    Two runs in one folder would be drawn as one zigzag line, so the event files
    of an earlier run are deleted; nothing else in the folder is touched.
    Introduced on Day 34.

    Args:
        log_dir: the run's folder; it is made if need be.

    Returns:
        A `torch.utils.tensorboard.SummaryWriter`; close it, or use it in a `with` block.
    """
    from torch.utils.tensorboard import SummaryWriter

    for old in Path(log_dir).glob("events.out.tfevents.*"):
        old.unlink()
    return SummaryWriter(log_dir=str(log_dir))


def add_graph(writer, model, example):
    """Log a model's computation graph, traced on one example batch. Introduced on Day 34."""
    with warnings.catch_warnings():
        # TensorBoard's graph needs torch.jit.trace, which warns of its own age.
        warnings.simplefilter("ignore")
        writer.add_graph(model, example)


def read_scalars(log_dir):
    """Read every scalar of a run back from its event files. Introduced on Day 34.

    Args:
        log_dir: the run's folder.

    Returns:
        {tag: (steps, values)}, two lists of equal length for each tag.

    Raises:
        FileNotFoundError: if the folder holds no event file.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    if not any(Path(log_dir).glob("events.out.tfevents.*")):
        raise FileNotFoundError(f"{log_dir} holds no TensorBoard event file: was the run logged?")
    # 0 keeps all points; the default would thin a long run out at random.
    events = EventAccumulator(str(log_dir), size_guidance={"scalars": 0}).Reload()
    curves = {}
    for tag in events.Tags()["scalars"]:
        points = events.Scalars(tag)
        curves[tag] = ([point.step for point in points], [point.value for point in points])
    return curves
