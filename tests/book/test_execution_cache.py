"""No page shows an output that is older than the code, data and libraries behind it."""

import json
import os
import re
import shutil
import types
from pathlib import Path

import execution_cache
import pytest
from sphinx.errors import ExtensionError

from support import ROOT
from support.contents import DAYS

MODULES = sorted(path.name for path in (ROOT / "nnweek").glob("*.py"))


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A copy of everything that the outputs depend on, which the extension works on."""
    for name in ("nnweek", "notebooks", "book"):
        shutil.copytree(
            ROOT / name,
            tmp_path / "copy" / name,
            ignore=lambda folder, names: {
                n for n in names if not re.search(r"\.(py|ipynb|md)$|^\w+$", n) or n == "_build"
            },
        )
    shutil.copy(ROOT / "_toc.yml", tmp_path / "copy")
    monkeypatch.setattr(execution_cache, "ROOT", tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def changes(tree):
    """A function that tells whether the fingerprint has changed since the test began."""
    before = execution_cache.fingerprint("MNIST")
    return lambda: execution_cache.fingerprint("MNIST") != before


def edit(page, tree, change):
    path = tree / f"{page}.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    change(notebook)
    path.write_text(json.dumps(notebook), encoding="utf-8")


def first(kind, notebook):
    return next(cell for cell in notebook["cells"] if cell["cell_type"] == kind)


def test_fingerprint_names_a_folder_and_is_reproducible(tree):
    one, other = (execution_cache.fingerprint("MNIST") for _ in range(2))
    assert re.fullmatch(r"\w{8,}", one)
    assert one == other


@pytest.mark.parametrize("module", MODULES)
def test_one_changed_byte_of_the_package_clears_the_cache(module, changes, tree):
    path = tree / "nnweek" / module
    content = bytearray(path.read_bytes())
    content[-1] = ord("#")
    path.write_bytes(content)
    assert changes()


@pytest.mark.parametrize("module", ["extra.py", "checks/extra.py"])
def test_new_module_clears_the_cache(module, changes, tree):
    (tree / "nnweek" / module).write_text("NEW = True\n")
    assert changes()


@pytest.mark.parametrize("day", DAYS)
def test_changed_code_cell_of_any_day_clears_the_cache(day, changes, tree):
    edit(day, tree, lambda notebook: first("code", notebook)["source"].append(" "))
    assert changes()


def test_changed_tag_of_a_code_cell_clears_the_cache(changes, tree):
    tags = {"tags": ["raises-exception"]}
    edit(DAYS[0], tree, lambda notebook: first("code", notebook)["metadata"].update(tags))
    assert changes()


def test_day_added_to_the_contents_clears_the_cache(changes, tree):
    shutil.copy(tree / f"{DAYS[0]}.ipynb", tree / "notebooks" / "day-36-more.ipynb")
    toc = (tree / "_toc.yml").read_text(encoding="utf-8")
    entry = f"      - file: {DAYS[-1]}\n"
    more = f"{entry}      - file: notebooks/day-36-more\n"
    (tree / "_toc.yml").write_text(toc.replace(entry, more), encoding="utf-8")
    assert changes()


def test_only_code_of_a_markdown_page_clears_the_cache(changes, tree):
    page = tree / "book" / "speed.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(text + "\nMore.\n", encoding="utf-8")
    assert not changes()
    page.write_text(text + "\n```{code-cell} python\nprint(2)\n```\n", encoding="utf-8")
    assert changes()


@pytest.mark.parametrize("day", DAYS)
def test_changed_text_of_a_day_keeps_the_outputs(day, changes, tree):
    more = {"cell_type": "markdown", "metadata": {}, "source": ["More."]}
    edit(day, tree, lambda notebook: first("markdown", notebook)["source"].append(" changed"))
    edit(day, tree, lambda notebook: notebook["cells"].append(more))
    assert not changes()


def test_another_data_set_clears_the_cache(tree):
    assert execution_cache.fingerprint("MNIST") != execution_cache.fingerprint("the stand-in")


@pytest.mark.parametrize(
    "library", ["numpy", "torch", "torchvision", "scikit-learn", "matplotlib", "tensorboard"]
)
def test_another_version_of_a_library_clears_the_cache(library, changes, monkeypatch):
    real = execution_cache.metadata.version
    pretended = types.SimpleNamespace(version=lambda name: "0" if name == library else real(name))
    monkeypatch.setattr(execution_cache, "metadata", pretended)
    assert changes()


def test_another_device_clears_the_cache(changes, monkeypatch):
    monkeypatch.setattr(execution_cache, "get_device", lambda: "another device")
    assert changes()


# --- Notebooks that a person left in the folder ------------------------------------------------


@pytest.mark.parametrize("content", [None, "", '{"nbformat": 3, "worksheets": []}', "{"])
@pytest.mark.parametrize("name", ["Untitled.ipynb", "day-30 (copy).ipynb"])
def test_stray_notebook_does_not_concern_the_cache(name, content, changes, tree):
    if content is None:
        shutil.copy(tree / f"{DAYS[1]}.ipynb", tree / "notebooks" / name)
    else:
        (tree / "notebooks" / name).write_text(content)
    assert not changes()


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"nbformat": 3, "worksheets": []}'])
def test_damaged_day_is_named_with_the_fix(content, tree):
    path = tree / f"{DAYS[1]}.ipynb"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(ExtensionError) as stopped:
        execution_cache.fingerprint("MNIST")
    assert f"{DAYS[1]}.ipynb cannot be read" in str(stopped.value)
    assert f"git restore {DAYS[1]}.ipynb" in str(stopped.value)


# --- The cache's folder ------------------------------------------------------------------------


@pytest.fixture
def build(tree, monkeypatch):
    """Begin a build of the copied tree on a data set; return (cache folder, results file)."""

    def begin(dataset):
        data = types.SimpleNamespace(name=dataset)
        monkeypatch.setattr(execution_cache, "load_mnist", lambda: data)
        app = types.SimpleNamespace(outdir=str(tree / "book" / "_build" / "html"))
        config = types.SimpleNamespace()
        execution_cache.name_cache(app, config)
        return Path(config.nb_execution_cache_path), Path(os.environ["NNWEEK_RESULTS"])

    for name in ("NNWEEK_RESULTS", "TQDM_DISABLE", "NNWEEK_BOOK"):
        monkeypatch.setenv(name, "the reader's own")  # so that it is restored afterwards
    return begin


def test_second_build_of_the_same_tree_reuses_the_cache(build):
    cache, results = build("MNIST")
    (cache / "outputs").write_text("kept")
    results.write_text("kept")
    assert build("MNIST") == (cache, results)
    assert (cache / "outputs").read_text() == "kept"
    assert results.read_text() == "kept"


def test_changed_tree_gets_an_empty_cache_and_removes_the_old(build, tree):
    old, _ = build("MNIST")
    (old / "outputs").write_text("old")
    (old.parent / "left by an earlier version").write_text("old")
    with open(tree / "nnweek" / "scratch.py", "a") as file:
        file.write("# changed\n")
    new, _ = build("MNIST")
    assert new != old
    assert list(new.iterdir()) == []
    assert list(new.parent.iterdir()) == [new]


def test_build_neither_reads_nor_writes_the_readers_results(build):
    for dataset in ("MNIST", "the stand-in"):
        cache, results = build(dataset)
        assert results.parent == cache
        assert not results.exists()
