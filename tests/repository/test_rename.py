"""The repository's name: `.ci/rename.py` after a fork, and no stray links."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from support import ROOT

NEW = "/".join(("other-owner", "other.name"))  # in pieces: this file is renamed, too
OLD = re.search(
    r'^Repository = "https://github\.com/([\w.-]+/[\w.-]+)"$',
    (ROOT / "pyproject.toml").read_text(encoding="utf-8"),
    re.MULTILINE,
)[1]

# Other projects that the course cites, and why.
CITED = {
    "github.com/treebeardtech/nbmake": "runs the notebooks as tests",
    "github.com/mrdbourke/pytorch-deep-learning": "a reader of that course finds ReLU on logits",
    "github.com/pytorch/tutorials": "the same find, in PyTorch's own tutorial",
    "cs231n.github.io": "Stanford's course notes",
    "karpathy.github.io": "a recipe for training neural networks",
}


def pages(name):
    """The address of the site that GitHub makes of a repository."""
    owner, repository = name.split("/")
    return f"{owner.lower()}.github.io/{repository}"


def git(*arguments, cwd):
    # Without git's own variables: in a hook they would point at the real repository.
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        ["git", *arguments], cwd=cwd, env=env, check=True, capture_output=True, text=True
    ).stdout


def files_of(tree):
    """The files that belong to a working tree, links left out: {name: bytes}."""
    listed = git("ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=tree)
    return {
        name: (tree / name).read_bytes()
        for name in listed.split("\0")
        if (tree / name).is_file() and not (tree / name).is_symlink()
    }


@pytest.fixture(scope="module")
def belonging():
    if not (ROOT / ".git").exists():
        pytest.skip("this tree is no git checkout, so nobody says which of its files belong to it")
    return files_of(ROOT)


@pytest.fixture
def fork(belonging, tmp_path):
    """A git repository of this working tree as it is, with what is not committed yet."""
    tree = tmp_path / "fork"
    for name in belonging:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tree / name)
    git("init", "--quiet", cwd=tree)
    git("add", "--all", cwd=tree)
    return tree


def run(tree, script, *arguments):
    # From another folder: the scripts find their tree by themselves.
    return subprocess.run(
        [sys.executable, tree / ".ci" / script, *arguments],
        cwd=tree.parent,
        capture_output=True,
        text=True,
    )


def test_after_a_fork_one_command_renames_every_link(fork):
    before = files_of(fork)
    ran = run(fork, "rename.py", NEW)
    assert ran.returncode == 0, ran.stderr
    after = files_of(fork)

    assert after.keys() == before.keys()
    for name, content in after.items():
        assert OLD.encode() not in content, name
        assert pages(OLD).encode() not in content, name
    assert f'Repository = "https://github.com/{NEW}"' in after["pyproject.toml"].decode("utf-8")

    texts_only = [name for name in before if not name.endswith(".ipynb")]
    for name in texts_only:  # the notebooks: see the next test
        renamed = before[name].replace(OLD.encode(), NEW.encode())
        assert after[name] == renamed.replace(pages(OLD).encode(), pages(NEW).encode()), name
    changed = {name for name in texts_only if after[name] != before[name]}
    assert changed == set(re.findall(r"^rewritten: (.+)$", ran.stdout, re.MULTILINE))
    assert len(changed) > 7


def test_after_renaming_the_notebooks_are_still_what_their_py_gives(fork):
    run(fork, "rename.py", NEW)
    checked = run(fork, "sync.py", "--check")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_renaming_back_gives_every_byte_back(fork):
    before = files_of(fork)
    for name in (NEW, OLD):
        assert run(fork, "rename.py", name).returncode == 0
    assert files_of(fork) == before


@pytest.mark.parametrize(
    "name", ["", "name", "/name", "owner/", "a/b/c", "an owner/name", f"https://github.com/{NEW}"]
)
def test_what_is_no_name_is_refused_and_changes_nothing(name, fork):
    before = files_of(fork)
    ran = run(fork, "rename.py", name)
    assert ran.returncode != 0
    assert "usage:" in ran.stderr
    assert files_of(fork) == before


def test_renaming_needs_exactly_one_name(fork):
    for arguments in ([], [NEW, NEW]):
        ran = run(fork, "rename.py", *arguments)
        assert ran.returncode != 0
        assert "usage:" in ran.stderr


# --- The links as they stand -------------------------------------------------------------


def texts(belonging):
    for name, content in belonging.items():
        try:
            yield name, content.decode("utf-8")
        except UnicodeDecodeError:
            continue


def test_every_github_link_is_to_this_repository_or_to_a_project_that_the_course_cites(belonging):
    ours = {f"github.com/{OLD}", f"colab.research.google.com/github/{OLD}", pages(OLD)}
    cited = set()
    for name, text in texts(belonging):
        links = re.findall(
            r"(?<![\w.-])((?:github\.com|colab\.research\.google\.com/github)/[\w-]+/[\w.-]*\w)",
            text,
        )
        links += re.findall(r"(?<![\w.-])([\w-]+\.github\.io(?:/[\w.-]*\w)?)", text)
        for link in links:
            link = link.removesuffix(".git")
            if link in ours:
                continue
            site = link.partition("/")[0] if ".github.io" in link else link
            assert site in CITED, f"{name} links to {link}"
            cited.add(site)
    assert cited == set(CITED), "listed above, but nobody cites it any more"


def test_every_colab_link_opens_a_notebook_that_is_there(belonging):
    found = {name: 0 for name in belonging if re.fullmatch(r"notebooks/[^/]+\.ipynb", name)}
    for name, text in texts(belonging):
        for path in re.findall(rf"google\.com/github/{re.escape(OLD)}/blob/main/([^\s)\"]+)", text):
            assert path in found, f"{name} opens {path}"
            found[path] += name == "README.md"
    assert set(found.values()) == {1}, "the README opens each notebook in Colab, once"


def test_every_relative_link_of_the_readme_leads_to_a_file_that_is_there(belonging):
    targets = re.findall(
        r"\]\((?!https?:|#)([^)#]+)[^)]*\)", belonging["README.md"].decode("utf-8")
    )
    assert targets
    for target in targets:
        assert target in belonging, f"the README links to {target}"
