"""`.ci/rename.py` renames every link after a fork, and the links that there are lead somewhere."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from support.contents import REPOSITORY as OLD

NEW = "/".join(("other-owner", "other.name"))  # in pieces: this file is renamed, too
# Other projects that the course cites, and why.
CITED = {
    "github.com/treebeardtech/nbmake": "runs the notebooks as tests",
    "github.com/mrdbourke/pytorch-deep-learning": "a reader of that course found ReLU on logits",
    "github.com/pyodide/pyodide": "the Python that runs in a browser",
    "github.com/pytorch/tutorials": "the same bug, in PyTorch's own tutorial",
    "cs231n.github.io": "Stanford's course notes",
    "karpathy.github.io": "a recipe for training neural networks",
}


def pages(name):
    """The address of the site that GitHub publishes for a repository."""
    owner, repository = name.split("/")
    return f"{owner.lower()}.github.io/{repository}"


@pytest.mark.slow
def test_rename_changes_every_link_and_nothing_else(fork):
    before = fork.files()
    printed = fork.run("rename.py", NEW)
    after = fork.files()

    assert after.keys() == before.keys()
    for name, content in after.items():
        assert OLD.encode() not in content, name
        assert pages(OLD).encode() not in content, name
    assert f'Repository = "https://github.com/{NEW}"' in after["pyproject.toml"].decode("utf-8")

    sources = [name for name in before if not name.endswith(".ipynb")]  # the rest is generated
    for name in sources:
        renamed = before[name].replace(OLD.encode(), NEW.encode())
        assert after[name] == renamed.replace(pages(OLD).encode(), pages(NEW).encode()), name
    changed = {name for name in sources if after[name] != before[name]}
    reported = set(re.findall(r"^rewritten: (.+)$", printed, re.MULTILINE))
    assert {name for name in reported if not name.endswith(".ipynb")} == changed
    assert {name for name in sources if name.startswith("notebooks/day-")} <= changed

    fork.run("sync.py", "--check")  # the notebooks match their sources
    fork.run("rename.py", OLD)
    assert fork.files() == before, "renaming back did not restore every byte"


def test_rename_refuses_anything_but_one_name(fork):
    before = fork.files()
    wrong = ["", "name", "/name", "owner/", "a/b/c", "an owner/name", f"https://github.com/{NEW}"]
    for arguments in ([], [NEW, NEW], *([name] for name in wrong)):
        assert "usage:" in fork.run("rename.py", *arguments, fails=True), arguments
    assert fork.files() == before


@pytest.mark.skipif(os.name != "posix", reason="needs ulimit")
@pytest.mark.slow
def test_rename_interrupted_by_a_full_disk_can_be_repeated(fork, limited):
    before = fork.files()
    said = fork.run("rename.py", NEW, fails=True, python=limited(50))
    assert re.match(r"\S+ could not be written \(File too large\)", said)
    partial = fork.files()
    fork.run("rename.py", NEW)
    renamed = fork.files()
    assert partial.keys() == before.keys()
    assert all(text in (before[name], renamed[name]) for name, text in partial.items())
    assert not [name for name, text in renamed.items() if OLD.encode() in text]


@pytest.mark.parametrize("outer", ["no repository", "another repository"])
def test_rename_needs_a_clone(outer, fork):
    before = fork.files()
    repository = shutil.move(fork.tree / ".git", fork.tree.parent / "elsewhere")
    if outer == "another repository":
        fork.git("init", "--quiet", "..")
    said = fork.run("rename.py", NEW, fails=True)
    shutil.move(repository, fork.tree / ".git")
    assert said.startswith("Nothing was renamed")
    assert fork.files() == before


@pytest.mark.slow
def test_rename_prints_names_that_the_console_lacks(fork, monkeypatch):
    (fork.tree / "übung.md").write_text(f"https://github.com/{OLD}", encoding="utf-8")
    fork.git("add", "übung.md")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    assert "rewritten: ubung.md" in fork.run("rename.py", NEW)


def test_rename_works_before_anything_is_installed(fork):
    script = fork.tree / ".ci" / "rename.py"
    command = [sys.executable, "-I", "-S", script, NEW]  # without site-packages
    ran = subprocess.run(command, capture_output=True, text=True)
    assert f'"https://github.com/{NEW}"'.encode() in fork.files()["pyproject.toml"]
    assert "Traceback" not in ran.stderr


def test_files_of_a_killed_writer_are_ignored_by_git(fork):
    before = fork.files()
    (fork.tree / "notebooks" / ".day-29.py-0123.part").touch()
    assert fork.files() == before


def test_github_links_lead_to_this_repository_or_a_cited_one(files):
    ours = {f"github.com/{OLD}", f"colab.research.google.com/github/{OLD}", pages(OLD)}
    cited = set()
    for name, content in files.items():
        if name.endswith("package-lock.json"):  # npm writes whom to sponsor
            continue
        text = content.decode("utf-8", "ignore")
        links = re.findall(
            r"(?<![\w.-])((?:github\.com|colab\.research\.google\.com/github)/[\w-]+/[\w.-]*\w)",
            text,
        )
        links += re.findall(r"(?<![\w.-])([\w-]+\.github\.io(?:/[\w.-]*\w)?)", text)
        for link in {link.removesuffix(".git") for link in links} - ours:
            site = link.partition("/")[0] if ".github.io" in link else link
            assert site in CITED, f"{name} links to {link}"
            cited.add(site)
    assert cited == set(CITED), "CITED lists a repository that no file links to"


def test_colab_links_open_existing_notebooks(files):
    found = {name: 0 for name in files if re.fullmatch(r"notebooks/[^/]+\.ipynb", name)}
    for name, content in files.items():
        text = content.decode("utf-8", "ignore")
        for path in re.findall(rf"google\.com/github/{re.escape(OLD)}/blob/main/([^\s)\"]+)", text):
            assert path in found, f"{name} opens {path}"
            found[path] += name == "README.md"
    assert min(found.values()) >= 1, f"the README must open each notebook in Colab: {found}"
