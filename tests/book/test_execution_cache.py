"""The promise of nnweek_outputs: no page shows an output that is older than the code."""

import importlib.util
import json
import os
import re
import shutil
import types
from pathlib import Path

import pytest

from support import ROOT


def extension_of(tree):
    """The extension as it works in `tree`."""
    spec = importlib.util.spec_from_file_location(
        "nnweek_outputs_in_a_copy", tree / "book" / "_ext" / "nnweek_outputs.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(tmp_path):
    """A copy of what the outputs depend on."""
    for name in ("nnweek", "notebooks", "book/_ext"):
        shutil.copytree(
            ROOT / name,
            tmp_path / "copy" / name,
            ignore=lambda folder, names: {n for n in names if not re.search(r"\.(py|ipynb)$", n)},
        )
    return tmp_path / "copy"


@pytest.fixture
def fingerprint(tree):
    return extension_of(tree).fingerprint


def first(kind, notebook):
    return next(cell for cell in notebook["cells"] if cell["cell_type"] == kind)


def edit(path, change):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    change(notebook)
    path.write_text(json.dumps(notebook), encoding="utf-8")


MODULES = sorted(path.name for path in (ROOT / "nnweek").glob("*.py"))
DAYS = sorted(path.name for path in (ROOT / "notebooks").glob("day-*.ipynb"))


def test_the_same_tree_has_the_same_fingerprint(fingerprint, tree):
    before = fingerprint("MNIST")
    assert re.fullmatch(r"\w{8,}", before), "it names a folder"
    assert fingerprint("MNIST") == before
    assert extension_of(tree).fingerprint("MNIST") == before


@pytest.mark.parametrize("module", MODULES)
def test_a_changed_byte_of_the_package_starts_anew(module, fingerprint, tree):
    before = fingerprint("MNIST")
    path = tree / "nnweek" / module
    content = bytearray(path.read_bytes())
    content[-1] = ord("#")
    path.write_bytes(content)
    assert fingerprint("MNIST") != before


def test_a_new_module_and_a_new_package_within_it_start_anew(fingerprint, tree):
    before = fingerprint("MNIST")
    (tree / "nnweek" / "extra.py").write_text("NEW = True\n")
    with_module = fingerprint("MNIST")
    (tree / "nnweek" / "checks").mkdir()
    (tree / "nnweek" / "checks" / "deep.py").write_text("DEEP = True\n")
    assert len({before, with_module, fingerprint("MNIST")}) == 3


@pytest.mark.parametrize("day", DAYS)
def test_a_changed_code_cell_of_any_day_starts_anew(day, fingerprint, tree):
    before = fingerprint("MNIST")

    def change(notebook):
        first("code", notebook)["source"][-1] += " "

    edit(tree / "notebooks" / day, change)
    assert fingerprint("MNIST") != before


def test_a_changed_tag_of_a_code_cell_starts_anew(fingerprint, tree):
    before = fingerprint("MNIST")

    def change(notebook):
        first("code", notebook)["metadata"]["tags"] = ["raises-exception"]

    edit(tree / "notebooks" / DAYS[0], change)
    assert fingerprint("MNIST") != before


def test_a_notebook_more_starts_anew(fingerprint, tree):
    before = fingerprint("MNIST")
    shutil.copy(tree / "notebooks" / DAYS[0], tree / "notebooks" / "day-36-more.ipynb")
    assert fingerprint("MNIST") != before


def test_a_changed_code_cell_of_a_page_starts_anew_and_changed_text_does_not(fingerprint, tree):
    page = tree / "book" / "page.md"
    page.write_text("# Page\n\n```{code-cell} python\nprint(1)\n```\n")
    before = fingerprint("MNIST")
    page.write_text("# Another page\n\n```{code-cell} python\nprint(1)\n```\n\nMore.\n")
    assert fingerprint("MNIST") == before
    page.write_text("# Page\n\n```{code-cell} python\nprint(2)\n```\n")
    assert fingerprint("MNIST") != before


def test_another_data_set_starts_anew(fingerprint):
    assert fingerprint("MNIST") != fingerprint("the stand-in")


@pytest.mark.parametrize(
    "library", ["numpy", "torch", "torchvision", "scikit-learn", "matplotlib", "tensorboard"]
)
def test_another_version_of_a_library_starts_anew(library, tree, monkeypatch):
    extension = extension_of(tree)
    before = extension.fingerprint("MNIST")
    real = extension.metadata.version
    monkeypatch.setattr(
        extension,
        "metadata",
        types.SimpleNamespace(version=lambda name: "0" if name == library else real(name)),
    )
    assert extension.fingerprint("MNIST") != before


def test_another_device_starts_anew(tree, monkeypatch):
    extension = extension_of(tree)
    before = extension.fingerprint("MNIST")
    monkeypatch.setattr(extension, "get_device", lambda: "another device")
    assert extension.fingerprint("MNIST") != before


@pytest.mark.parametrize("day", DAYS)
def test_a_change_of_text_alone_reuses_the_outputs(day, fingerprint, tree):
    before = fingerprint("MNIST")

    def change(notebook):
        first("markdown", notebook)["source"] = ["# Another title\n"]
        notebook["cells"].append({"cell_type": "markdown", "metadata": {}, "source": ["More."]})

    edit(tree / "notebooks" / day, change)
    assert fingerprint("MNIST") == before


# --- What is done with it --------------------------------------------------------------------


@pytest.fixture
def build(tree, monkeypatch):
    """Begin a build of the copied tree on a data set; return (the cache's folder, results file)."""

    def begin(dataset):
        extension = extension_of(tree)
        monkeypatch.setattr(extension, "load_mnist", lambda: types.SimpleNamespace(name=dataset))
        app = types.SimpleNamespace(outdir=str(tree / "book" / "_build" / "html"))
        config = types.SimpleNamespace()
        extension.name_the_cache(app, config)
        return Path(config.nb_execution_cache_path), Path(os.environ["NNWEEK_RESULTS"])

    for name in ("NNWEEK_RESULTS", "TQDM_DISABLE", "NNWEEK_BOOK"):
        monkeypatch.setenv(name, "the reader's own")  # so that it is put back afterwards
    return begin


def test_a_second_build_of_the_same_finds_the_cache_of_the_first(build):
    cache, results = build("MNIST")
    (cache / "outputs").write_text("kept")
    results.write_text("kept")
    assert build("MNIST") == (cache, results)
    assert (cache / "outputs").read_text() == "kept"
    assert results.read_text() == "kept"


def test_a_changed_tree_gets_an_empty_cache_and_the_old_one_goes(build, tree):
    old, _ = build("MNIST")
    (old / "outputs").write_text("old")
    (old.parent / "left by an earlier version").write_text("old")
    with open(tree / "nnweek" / "scratch.py", "a") as file:
        file.write("# changed\n")
    new, _ = build("MNIST")
    assert new != old
    assert list(new.iterdir()) == []
    assert list(new.parent.iterdir()) == [new]


def test_the_days_of_a_build_hand_on_results_within_the_cache_only(build):
    """Neither are the reader's own results shown on a page, nor does a build add to them."""
    for dataset in ("MNIST", "the stand-in"):
        cache, results = build(dataset)
        assert results.parent == cache
        assert not results.exists()
