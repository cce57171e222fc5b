"""What the kernel of each day needed when the book was built: its memory, its cores.

Jupyter Book notes how long a notebook took, and no more. Here the operating system is asked
about each kernel just before it is shut down. The answers lie with the cached outputs, so
that a notebook that is not run again keeps its own.
"""

import json
import time
from pathlib import Path

import psutil  # comes with ipykernel
from docutils import nodes
from docutils.parsers.rst import Directive
from nbclient import NotebookClient

from nnweek.commands.bench import peak_memory

ROOT = Path(__file__).resolve().parents[2]
CLASS = 30  # learners, for the last line of the table
clean_up = NotebookClient._async_cleanup_kernel


def setup(app):
    app.connect("config-inited", watch_the_kernels, priority=900)  # when the cache has its name
    app.connect("doctree-resolved", fill_in_the_table)  # when all days have run
    app.add_node(table_of_kernels)
    app.add_directive("kernels-of-the-week", KernelsOfTheWeek)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def watch_the_kernels(app, config):
    """Have every kernel looked at before it is shut down."""

    async def look_and_clean_up(client):
        try:
            needs = needs_of(client.km.provisioner.pid)
        except (AttributeError, psutil.Error):
            needs = None  # it is gone already
        if needs is not None:
            with notes(config).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"title": title(client.nb), **needs}) + "\n")
        await clean_up(client)

    NotebookClient._async_cleanup_kernel = look_and_clean_up


def needs_of(pid):
    """Return a process's peak of memory (bytes) and how many cores it kept busy on average.

    The peak is that of its resident memory, as Linux counts it; elsewhere it is None.

    Raises:
        psutil.Error: if there is no such process.
    """
    process = psutil.Process(pid)
    used = process.cpu_times()
    return {
        "peak": peak_memory(pid),
        "cores": (used.user + used.system) / (time.time() - process.create_time()),
    }


def title(notebook):
    """The first line of a notebook's first cell, by which it is known again."""
    return "".join(notebook["cells"][0]["source"]).split("\n")[0].strip()


def notes(config):
    return Path(config.nb_execution_cache_path) / "kernels.jsonl"


def rows(config):
    """Yield (title, address, needs or None) for each day; of several notes the last counts."""
    found = {}
    if notes(config).exists():
        for line in notes(config).read_text(encoding="utf-8").splitlines():
            note = json.loads(line)
            found[note["title"]] = note
    for path in sorted((ROOT / "notebooks").glob("day-*.ipynb")):
        name = title(json.loads(path.read_text(encoding="utf-8")))
        yield name.lstrip("# "), f"notebooks/{path.stem}.html", found.get(name)


class table_of_kernels(nodes.General, nodes.Element):
    """The place of the table, which is known only when all days have run."""


class KernelsOfTheWeek(Directive):
    """A table of the days: the peak of memory and the mean number of busy cores."""

    def run(self):
        self.state.document.settings.env.note_reread()
        return [table_of_kernels()]


def fill_in_the_table(app, doctree, docname):
    for place in list(doctree.findall(table_of_kernels)):
        found = list(rows(app.config))
        place.replace_self([table(found), nodes.paragraph("", of_a_class(found))])


def table(found):
    """The table as docutils has it."""
    head = ("day", "peak memory", "busy cores, on average")
    lines = [tuple(nodes.Text(text) for text in head)]
    for name, address, needs in found:
        peak, cores = ("–", "–")
        if needs:
            peak = megabytes(needs["peak"]) if needs["peak"] else "–"
            cores = f"{needs['cores']:.1f}"
        link = nodes.reference("", name, refuri=address, internal=True)
        lines.append((link, nodes.Text(peak), nodes.Text(cores)))
    body = [
        nodes.row("", *[nodes.entry("", nodes.paragraph("", "", cell.deepcopy())) for cell in line])
        for line in lines
    ]
    group = nodes.tgroup("", *[nodes.colspec(colwidth=1) for _ in head], cols=len(head))
    group += [nodes.thead("", body[0]), nodes.tbody("", *body[1:])]
    return nodes.table("", group)


def of_a_class(found):
    """What a whole class needs that is on the hungriest day."""
    peaks = {needs["peak"]: name for name, _, needs in found if needs and needs["peak"]}
    if not peaks:
        return "The memory was not measured: only Linux tells the peak of another process."
    peak = max(peaks)
    return (
        f"The hungriest is {peaks[peak]}. {CLASS} learners with one such kernel each need "
        f"{CLASS} × {megabytes(peak)}, that is {CLASS * peak / 1e9:.0f} GB."
    )


def megabytes(size):
    return f"{size / 1e6:,.0f} MB"
