"""The table of what each day's kernel needed: measured by the operating system, kept with the outputs."""

import asyncio
import sys
import types

import nbformat
import pytest
from nbclient import NotebookClient

from support import ROOT

sys.path.insert(0, str(ROOT / "book" / "_ext"))
import nnweek_kernels

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells another's peak")
MB = 10**6


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A build's configuration, whose kernels are watched."""
    config = types.SimpleNamespace(nb_execution_cache_path=str(tmp_path))
    monkeypatch.setattr(NotebookClient, "_async_cleanup_kernel", nnweek_kernels.clean_up)
    nnweek_kernels.watch_the_kernels(None, config)
    return config


def run_day(number, code):
    """Execute a notebook that begins as that day's does; return its first line."""
    (path,) = (ROOT / "notebooks").glob(f"day-{number}-*.ipynb")
    first = nbformat.read(path, as_version=4).cells[0]
    notebook = nbformat.v4.new_notebook(cells=[first, nbformat.v4.new_code_cell(code)])
    NotebookClient(notebook, kernel_name="python3").execute()
    return first.source.split("\n")[0].lstrip("# ")


@on_linux
def test_a_day_that_was_run_has_its_peak_and_its_cores_and_the_others_have_none(config):
    # 300 MB for a moment, then nothing: a look at the end alone would miss them.
    name = run_day(30, "import time\nx = bytearray(300_000_000)\ndel x\ntime.sleep(0.3)")
    found = {title: needs for title, _, needs in nnweek_kernels.rows(config)}
    assert len(found) == 7
    assert [title for title, needs in found.items() if needs] == [name]
    assert 300 * MB < found[name]["peak"] < 600 * MB
    assert 0 < found[name]["cores"] < 2


@on_linux
def test_of_two_runs_the_last_counts(config):
    run_day(29, "x = bytearray(300_000_000)")
    name = run_day(29, "pass")
    found = {title: needs for title, _, needs in nnweek_kernels.rows(config)}
    assert found[name]["peak"] < 250 * MB
    assert len(nnweek_kernels.notes(config).read_text().splitlines()) == 2


def test_a_kernel_that_is_gone_stops_no_build(config, monkeypatch):
    cleaned = []

    async def clean_up(client):
        cleaned.append(client)

    monkeypatch.setattr(nnweek_kernels, "clean_up", clean_up)
    client = types.SimpleNamespace(km=None, nb=None)
    asyncio.run(NotebookClient._async_cleanup_kernel(client))
    assert cleaned == [client]
    assert not nnweek_kernels.notes(config).exists()


def test_the_table_and_its_last_line_are_made_of_the_measured_numbers():
    found = [
        ("Day 29", "notebooks/a.html", {"peak": 123_456_789, "cores": 0.97}),
        ("Day 30", "notebooks/b.html", None),
        ("Day 31", "notebooks/c.html", {"peak": 2_000 * MB, "cores": 1.5}),
    ]
    rows = [
        [entry.astext() for entry in row.children]
        for row in nnweek_kernels.table(found).findall(nnweek_kernels.nodes.row)
    ]
    assert rows[1:] == [
        ["Day 29", "123 MB", "1.0"],
        ["Day 30", "–", "–"],
        ["Day 31", "2,000 MB", "1.5"],
    ]
    said = nnweek_kernels.of_a_class(found)
    assert "The hungriest is Day 31." in said
    assert "30 × 2,000 MB, that is 60 GB" in said
    assert "not measured" in nnweek_kernels.of_a_class(found[1:2])
