"""The workbench: how the build adds it to the pages, and the unit tests of its source."""

import hashlib
import importlib
import json
import os
import shutil
import subprocess
import warnings

import numpy as np
import pytest
import web

from nnweek.checks import progress_store
from support import ROOT

SOURCE = ROOT / "book" / "web"

needs_node = pytest.mark.skipif(
    not shutil.which("node") or not (SOURCE / "node_modules").exists(),
    reason="Node or the packages of book/web are missing; `make book` installs them",
)


@needs_node
def test_page_loads_little_before_the_first_click(tmp_path):
    script = tmp_path / web.bundle(tmp_path)
    assert script.stat().st_size < 30_000


@needs_node
def test_unit_tests_of_the_source_pass():
    done = subprocess.run(
        ["node", "--test", "--test-reporter=tap"],
        cwd=SOURCE, capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]


def test_lock_has_a_sum_for_every_package():
    packages = json.loads((SOURCE / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert [name for name, one in packages.items() if name and "integrity" not in one] == []


# ---- The pages' marks --------------------------------------------------------------------------

DAY = """<html><head>
</head><body><a href="https://colab.research.google.com/day.ipynb">Open in Colab</a>
<p class="facts">2 exercises</p>
<section class="exercise" data-check="checks.a(a)" data-exercise="a" id="exercise-a">
<div class="cell">…</div>
<details class="hint">…</details>
</section>
<section class="exercise" data-check="checks.b(b)" data-exercise="b" id="exercise-b">
<div class="cell">…</div>
<details class="solution">…</details>
</section>
</body></html>"""


def test_each_exercise_says_where_it_runs():
    page = web.enhanced(DAY, "_static/main-A.js", ["a"])
    top, first, second = page.split("<section")
    assert 'data-runs="browser"' in first
    assert 'data-runs="colab"' in second
    assert 'href="https://colab.research.google.com/day.ipynb"' in second
    assert second.index("needs-more") < second.index("<details")
    assert "in 1 of the 2 exercises" in top
    assert page.count("not-live") == 2  # the sentence, and what shows it if the script fails
    assert web.enhanced(page, "_static/main-A.js", ["a"]) == page
    assert web.enhanced(page, None, None) == DAY


def test_page_without_python_keeps_its_script_for_questions():
    page = web.enhanced(DAY, "_static/main-A.js", None)
    assert "main-A.js" in page
    assert "data-runs" not in page


# ---- What is served ----------------------------------------------------------------------------


@pytest.fixture
def lock():
    content = b"a wheel"
    digest = hashlib.sha256(content).hexdigest()
    return {
        "info": {"version": "0"},
        "packages": {"numpy": {"file_name": "n.whl", "sha256": digest}},
    }


def test_wheel_comes_from_the_mirror_and_is_kept(lock, tmp_path, monkeypatch):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "n.whl").write_bytes(b"a wheel")
    monkeypatch.setenv("NNWEEK_PYODIDE_MIRROR", str(mirror))
    assert web.numpy_wheel(lock, tmp_path / "cache").read_bytes() == b"a wheel"
    (mirror / "n.whl").unlink()
    assert web.numpy_wheel(lock, tmp_path / "cache").read_bytes() == b"a wheel"


def test_wheel_with_another_sum_is_refused(lock, tmp_path, monkeypatch):
    (tmp_path / "n.whl").write_bytes(b"another wheel")
    monkeypatch.setenv("NNWEEK_PYODIDE_MIRROR", str(tmp_path))
    with pytest.raises(web.Unavailable, match="SHA-256"):
        web.numpy_wheel(lock, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_missing_mirror_says_which_variable_names_one(lock, tmp_path, monkeypatch):
    monkeypatch.setenv("NNWEEK_PYODIDE_MIRROR", str(tmp_path / "nowhere"))
    with pytest.raises(web.Unavailable, match="NNWEEK_PYODIDE_MIRROR"):
        web.numpy_wheel(lock, tmp_path / "cache")


def test_archive_has_the_same_bytes_for_the_same_files():
    assert web.zipped({"b": b"2", "a": b"1"}) == web.zipped({"a": b"1", "b": b"2"})


def test_missing_program_is_named(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda *args, **kwargs: None)
    with pytest.raises(web.Unavailable, match="node is missing"):
        web.tool("node")


@pytest.mark.slow
def test_survey_finds_what_needs_more_than_numpy():
    stub = "import numpy as np\nfrom nnweek import checks\ndef {0}(*given):\n    ...\n\nchecks.{0}({0})"
    pages = {
        "day": [
            {"source": stub.format(name), "exercise": name, "check": f"checks.{name}({name})"}
            for name in ("softmax", "split", "train_step")
        ]
    }
    found = web.survey(pages)
    assert found["exercises"] == ["softmax", "split"]
    assert {"nnweek.checks.day29", "nnweek.toy"} <= set(found["modules"])
    assert not {"nnweek.checks.solutions_torch", "nnweek.plots"} & set(found["modules"])


# ---- The cells of a page -----------------------------------------------------------------------

IMPORTS = {
    "source": "import numpy as np\nimport matplotlib_is_not_here as plt\nfrom nnweek import checks"
}
SOFTMAX = """def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)
"""


@pytest.fixture
def kernel(monkeypatch):
    monkeypatch.syspath_prepend(SOURCE / "src")
    monkeypatch.setitem(os.environ, "NNWEEK_BOOK", "https://example.org")
    yield importlib.import_module("kernel")
    for name in ("softmax", "cross_entropy"):
        progress_store.forget(name)


def answer(name, source, answered=True):
    return {"source": source, "exercise": name, "answered": answered}


def test_cell_finds_what_the_cells_above_define(kernel):
    above = [
        IMPORTS,
        {"source": "rows = [3]\nrows[0] = 2\nprint('not again')"},
        {"source": "1 / 0"},
    ]
    result = kernel.run([*above, {"source": "np.ones(rows).sum()"}])
    assert result["text"] == "np.float64(2.0)\n"


def test_only_what_is_needed_is_executed(kernel):
    above = [IMPORTS, {"source": "def slow():\n    raise SystemExit\ny = slow()\nx = 1"}]
    assert (
        kernel.run([*above, {"source": "def f():\n    y = 2\n    return x + y\nf()"}])["text"]
        == "3\n"
    )


def test_function_finds_what_is_defined_below_it(kernel):
    cells = [{"source": "def f():\n    return g()"}, {"source": "def g():\n    return 7"}]
    assert kernel.run([*cells, {"source": "f()"}])["text"] == "7\n"


def test_check_is_the_one_of_a_notebook(kernel):
    wrong = SOFTMAX.replace("e.sum(axis=1", "e.sum(axis=0")
    cells = [IMPORTS, answer("softmax", f"{wrong}\n\nchecks.softmax(softmax)")]
    result = kernel.run(cells, "checks.softmax(softmax)")
    assert result["verdict"] == "wrong-axis"
    assert "https://example.org/what-went-wrong.html#softmax-wrong-axis" in result["html"]
    assert "role=" not in result["html"]
    again = kernel.run(cells, "checks.softmax(softmax)")
    assert again["html"] != result["html"]
    # The hints go on where they were, in another session as well.
    progress_store.forget("softmax")
    kernel.start("https://example.org", {"softmax": result["hints"]}, [])
    assert kernel.run(cells, "checks.softmax(softmax)")["html"] == again["html"]


def test_run_shows_what_the_package_returns(kernel):
    show = "from nnweek import checks\nchecks.{}"
    assert "def softmax(" in kernel.run([{"source": show.format("solution('softmax')")}])["text"]
    assert "exercises" in kernel.run([{"source": show.format("progress()")}])["html"]
    assert "not yet" in kernel.run([{"source": show.format("Verdict('a', False, 'sign')")}])["html"]


def test_run_leaves_the_check_out(kernel):
    cells = [IMPORTS, answer("softmax", f"{SOFTMAX}\nchecks.softmax(softmax)")]
    assert kernel.run(cells)["html"] == ""


@pytest.mark.parametrize(
    ("source", "answered", "expected"),
    [
        ("def softmax(z):\n    ...", False, "The reference solutions are used for softmax.\n0.5"),
        ("def softmax(z):\n    return z + 4", True, "4.0"),
        (
            "def softmax(z:\n    return z",
            True,
            "The reference solutions are used for softmax.\n0.5",
        ),
    ],
)
def test_later_cells_use_the_answer_or_a_solution(kernel, source, answered, expected):
    cells = [IMPORTS, answer("softmax", source, answered)]
    result = kernel.run([*cells, {"source": "print(softmax(np.zeros((1, 2)))[0, 0])"}])
    assert result["text"].strip() == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(:\n    pass", 'File "<cell>", line 1'),
        ("x = 1\nunknown + x", 'File "<cell>", line 2, in <module>\n    unknown + x'),
        ("import torch_is_not_here", "The browser has NumPy and the standard library"),
        ("raise SystemExit", "SystemExit"),
        ("print('x' * 10**6)", "The rest of what you print is not shown."),
    ],
)
def test_error_is_shown_with_the_line_of_the_cell(kernel, source, expected):
    result = kernel.run([{"source": source}])
    assert expected in result["text"]
    assert "kernel.py" not in result["text"]
    assert len(result["text"]) < 2 * kernel.CHARACTERS


def test_stopped_cell_gets_the_verdict_of_the_time_limit(kernel):
    result = kernel.stopped("softmax", 5)
    assert result["verdict"] == "raised"
    assert "It was stopped after 5 seconds without an answer." in result["html"]


def test_cell_cannot_break_what_the_next_one_needs(kernel):
    broken = ["builtins.len = np.maximum = None", "np.set_printoptions(1)", "sys.modules.clear()"]
    kernel.run([IMPORTS, {"source": "\n".join(["import builtins, sys", *broken, "1 / 0"])}])
    shown = kernel.run([IMPORTS, {"source": "print(len('ab'), np.maximum([3.14159], 1))"}])
    assert shown["text"] == "2 [3.14159]\n"


def test_overflow_is_warned_of_as_numpy_does(kernel):
    function = kernel.WarnsOfOverflow(np.exp)
    with (
        pytest.warns(RuntimeWarning, match="overflow encountered in exp"),
        np.errstate(over="warn"),
    ):
        assert np.isinf(function(np.array([1000.0])))
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        function(1000.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isinf(function(np.inf))
        with np.errstate(over="ignore"):
            function(1000.0)
    assert function.nin == 1
