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

DAY = DAYS[0]


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A copy of everything that the outputs depend on, which the extension works on."""
    built = shutil.ignore_patterns("_build", "__pycache__", "runs", "*.pth", "*.png")
    for name in ("nnweek", "notebooks", "book"):
        shutil.copytree(ROOT / name, tmp_path / "copy" / name, ignore=built)
    shutil.copy(ROOT / "_toc.yml", tmp_path / "copy")
    monkeypatch.setattr(execution_cache, "ROOT", tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def changed(tree):
    """A function that tells whether the fingerprint has changed since the last call."""
    fingerprints = [execution_cache.fingerprint("MNIST")]

    def changed(dataset="MNIST"):
        fingerprints.append(execution_cache.fingerprint(dataset))
        return fingerprints[-1] != fingerprints[-2]

    return changed


def edit(page, tree, kind, change):
    """Change the first cell of a kind in a notebook."""
    path = tree / f"{page}.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    change(next(cell for cell in notebook["cells"] if cell["cell_type"] == kind))
    path.write_text(json.dumps(notebook), encoding="utf-8")


def test_fingerprint_names_a_folder_and_is_reproducible(changed):
    assert re.fullmatch(r"\w{8,}", execution_cache.fingerprint("MNIST"))
    assert not changed()


def test_changed_byte_or_new_module_of_the_package_clears_the_cache(changed, tree):
    modules = list((tree / "nnweek").rglob("*.py"))
    assert len(modules) > 20
    for module in modules:
        content = bytearray(module.read_bytes())
        content[-1:] = b"#"
        module.write_bytes(content)
        assert changed(), module
    for name in ("extra.py", "checks/extra.py"):
        (tree / "nnweek" / name).write_text("NEW = True\n")
        assert changed(), name


def test_code_and_tags_of_any_day_clear_the_cache_and_its_text_does_not(changed, tree):
    for day in DAYS:
        edit(day, tree, "code", lambda cell: cell["source"].append(" "))
        assert changed(), day
        edit(day, tree, "code", lambda cell: cell["metadata"].update(tags=["raises-exception"]))
        assert changed(), day
        edit(day, tree, "markdown", lambda cell: cell["source"].append(" changed"))
        assert not changed(), day


def test_day_added_to_the_contents_clears_the_cache(changed, tree):
    shutil.copy(tree / f"{DAY}.ipynb", tree / "notebooks" / "day-99-more.ipynb")
    assert not changed()
    toc = (tree / "_toc.yml").read_text(encoding="utf-8")
    entry = f"      - file: {DAYS[-1]}\n"
    more = f"{entry}      - file: notebooks/day-99-more\n"
    (tree / "_toc.yml").write_text(toc.replace(entry, more), encoding="utf-8")
    assert changed()


def test_only_code_of_a_markdown_page_clears_the_cache(changed, tree):
    page = tree / "book" / "speed.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(text + "\nMore.\n", encoding="utf-8")
    assert not changed()
    page.write_text(text + "\n```{code-cell} python\nprint(2)\n```\n", encoding="utf-8")
    assert changed()


def test_another_data_set_device_or_library_clears_the_cache(changed, monkeypatch):
    assert changed("the stand-in")
    monkeypatch.setattr(execution_cache, "get_device", lambda: "another device")
    assert changed("the stand-in")
    real = execution_cache.metadata.version
    for library in ("numpy", "torch", "torchvision", "scikit-learn", "matplotlib", "tensorboard"):
        monkeypatch.setattr(
            execution_cache.metadata,
            "version",
            lambda name, other=library: "0" if name == other else real(name),
        )
        assert changed("the stand-in"), library


@pytest.mark.parametrize("content", [None, "", '{"nbformat": 3, "worksheets": []}', "{"])
def test_stray_notebook_does_not_affect_the_cache(content, changed, tree):
    for name in ("Untitled.ipynb", "day-30 (copy).ipynb"):
        if content is None:
            shutil.copy(tree / f"{DAY}.ipynb", tree / "notebooks" / name)
        else:
            (tree / "notebooks" / name).write_text(content)
    assert not changed()


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"nbformat": 3, "worksheets": []}'])
def test_damaged_day_is_named_with_the_fix(content, tree):
    path = tree / f"{DAY}.ipynb"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(ExtensionError) as stopped:
        execution_cache.fingerprint("MNIST")
    assert f"{DAY}.ipynb cannot be read" in str(stopped.value)
    assert f"git restore {DAY}.ipynb" in str(stopped.value)


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

    for name in ("NNWEEK_RESULTS", "NNWEEK_STRICT", "TQDM_DISABLE", "NNWEEK_BOOK"):
        monkeypatch.setenv(name, "the reader's own")  # so that it is restored afterwards
    return begin


def test_second_build_of_the_same_tree_reuses_the_cache(build):
    cache, results = build("MNIST")
    assert results.parent == cache
    assert not results.exists(), "the reader's own results were read"
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
