"""`.ci/rename.py` renames every link after a fork, and the links that there are lead somewhere."""

import re

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
    "github.com/mrdbourke/pytorch-deep-learning": "a reader of that course found ReLU on logits",
    "github.com/pytorch/tutorials": "the same bug, in PyTorch's own tutorial",
    "cs231n.github.io": "Stanford's course notes",
    "karpathy.github.io": "a recipe for training neural networks",
}


def pages(name):
    """The address of the site that GitHub publishes for a repository."""
    owner, repository = name.split("/")
    return f"{owner.lower()}.github.io/{repository}"


def test_rename_changes_every_link_and_nothing_else(fork, files_of, run_script):
    before = files_of(fork)
    ran = run_script("rename.py", NEW)
    assert ran.returncode == 0, ran.stderr
    after = files_of(fork)

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
    reported = set(re.findall(r"^rewritten: (.+)$", ran.stdout, re.MULTILINE))
    assert {name for name in reported if not name.endswith(".ipynb")} == changed
    assert {name for name in sources if name.startswith("notebooks/day-")} <= changed


def test_renamed_notebooks_match_their_sources(run_script):
    run_script("rename.py", NEW)
    checked = run_script("sync.py", "--check")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_renaming_back_restores_every_byte(fork, files_of, run_script):
    before = files_of(fork)
    for name in (NEW, OLD):
        assert run_script("rename.py", name).returncode == 0
    assert files_of(fork) == before


@pytest.mark.parametrize(
    "arguments",
    [[], [""], ["name"], ["/name"], ["owner/"], ["a/b/c"], ["an owner/name"],
     [f"https://github.com/{NEW}"], [NEW, NEW]],
)  # fmt: skip
def test_rename_refuses_anything_but_one_name(arguments, fork, files_of, run_script):
    before = files_of(fork)
    ran = run_script("rename.py", *arguments)
    assert ran.returncode != 0
    assert "usage:" in ran.stderr
    assert files_of(fork) == before


# --- The links as they are ---------------------------------------------------------------


def texts(files):
    for name, content in files.items():
        try:
            yield name, content.decode("utf-8")
        except UnicodeDecodeError:
            continue


def test_github_links_lead_to_this_repository_or_a_cited_one(files):
    ours = {f"github.com/{OLD}", f"colab.research.google.com/github/{OLD}", pages(OLD)}
    cited = set()
    for name, text in texts(files):
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
    assert cited == set(CITED), "CITED lists a repository that no file links to"


def test_colab_links_open_existing_notebooks(files):
    found = {name: 0 for name in files if re.fullmatch(r"notebooks/[^/]+\.ipynb", name)}
    for name, text in texts(files):
        for path in re.findall(rf"google\.com/github/{re.escape(OLD)}/blob/main/([^\s)\"]+)", text):
            assert path in found, f"{name} opens {path}"
            found[path] += name == "README.md"
    assert set(found.values()) == {1}, f"the README must open each notebook in Colab once: {found}"
