"""Claims of the text, progress bars and interrupts: how a notebook behaves when played with."""

import io
import signal
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell

from nnweek import notebook
from nnweek.notebook import INTERRUPTED, progress_bar, text_says

LOSS, HISTORY = 0.3, {"val": [0.5]}


@pytest.fixture
def strict(monkeypatch):
    monkeypatch.setenv("NNWEEK_STRICT", "1")


@pytest.fixture
def calm(monkeypatch):
    monkeypatch.delenv("NNWEEK_STRICT", raising=False)


def make_claim(kind):
    with text_says("the loss falls below 0.1"):
        if kind == "comparison":
            assert 0 < LOSS < 0.1
        elif kind == "both sides":
            assert HISTORY["val"][0] < LOSS, "a message of its own"
        elif kind == "two conditions":
            assert LOSS == 0.3 and HISTORY["val"] == []  # noqa: PT018
        elif kind == "no comparison":
            assert all(loss < 0.1 for loss in HISTORY["val"])
        elif kind == "missing epoch":
            assert HISTORY["val"][4] < 0.1
        elif kind == "missing name":
            assert a_name_that_no_cell_defined < 0.1  # noqa: F821


FOUND = {
    "comparison": "`LOSS` is 0.3, so `0 < LOSS < 0.1` does not hold",
    "both sides": "`HISTORY['val'][0]` is 0.5 and `LOSS` is 0.3, so `HISTORY['val'][0] < LOSS` does",
    "two conditions": "`LOSS` is 0.3 and `HISTORY['val']` is [0.5], so",
    "no comparison": "`all((loss < 0.1 for loss in HISTORY['val']))` does not hold",
    "missing epoch": "cannot be checked (IndexError: list index out of range)",
    "missing name": "cannot be checked (NameError: name 'a_name_that_no_cell_defined'",
}


@pytest.mark.parametrize(("kind", "found"), FOUND.items(), ids=list(FOUND))
def test_changed_run_gets_one_line_with_its_values(kind, found, calm, capsys):
    make_claim(kind)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("The text says that the loss falls below 0.1. In your run, ")
    assert found in line


@pytest.mark.parametrize(("kind", "found"), FOUND.items(), ids=list(FOUND))
def test_published_run_must_keep_the_claim(kind, found, strict):
    with pytest.raises(AssertionError) as caught:
        make_claim(kind)
    assert "The text says that the loss falls below 0.1, but " in str(caught.value)
    assert found in str(caught.value)


@pytest.mark.parametrize("mode", ["strict", "calm"])
def test_claim_that_holds_says_nothing(mode, request, capsys):
    request.getfixturevalue(mode)
    with text_says("the loss is 0.3"):
        assert LOSS == 0.3
    assert capsys.readouterr().out == ""


def test_claim_about_a_very_short_run_is_one_line(calm, capfd):
    """As that of Day 34 after one epoch of few images, for which NumPy has two warnings."""
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        with text_says("the curve falls"):
            assert np.mean([]) < 1  # computed once more for the line
        assert shown == []
        warnings.warn("of a cell", stacklevel=1)
        assert len(shown) == 1, "other warnings are shown as before"
    assert len(capfd.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize("mode", ["strict", "calm"])
def test_quick_run_with_few_images_is_not_compared_with_the_text(
    mode, request, monkeypatch, capsys
):
    request.getfixturevalue(mode)
    monkeypatch.setitem(globals(), "SMALL", True)
    make_claim("comparison")
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("NNWEEK_STRICT", "1")
    monkeypatch.setitem(globals(), "SMALL", False)
    with pytest.raises(AssertionError):
        make_claim("comparison")


@pytest.mark.parametrize("mode", ["strict", "calm"])
def test_interrupt_passes_through_a_claim(mode, request):
    request.getfixturevalue(mode)
    with pytest.raises(KeyboardInterrupt), text_says("it ends"):
        raise KeyboardInterrupt


def test_progress_bar_is_cleared_at_the_end(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    assert list(progress_bar(range(3), show=True, desc="runs", mininterval=0)) == [0, 1, 2]
    assert "runs" in out.getvalue()
    assert out.getvalue().rsplit("\r", 2)[-2].strip() == "", "the last thing written is a blank"


def test_build_shows_no_progress_bar(monkeypatch):
    """Jupyter Book sets TQDM_DISABLE for its kernels, which read it when they import tqdm."""
    code = (
        "import sys; sys.modules['ipykernel'] = sys\n"
        "from nnweek.notebook import progress_bar\n"
        "list(progress_bar(range(3), mininterval=0))"
    )
    monkeypatch.setenv("TQDM_DISABLE", "1")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("", "")
    monkeypatch.delenv("TQDM_DISABLE")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "3/3" in ran.stdout


def test_interrupted_cell_says_so_in_one_sentence(capsys):
    shell = InteractiveShell()
    notebook._prepare(shell)
    shell.run_cell("def f():\n    raise KeyboardInterrupt\nf()")
    out = capsys.readouterr().out.strip()
    assert out == f"KeyboardInterrupt: {INTERRUPTED}"


def test_interrupt_leaves_no_cell_without_gradients():
    """It may come when `no_grad` or a step of an optimizer is about to switch them on again."""
    shell = InteractiveShell()
    notebook._prepare(shell)
    try:
        shell.run_cell("import torch\ntorch.set_grad_enabled(False)\nraise KeyboardInterrupt")
        assert torch.is_grad_enabled()
    finally:
        torch.set_grad_enabled(True)


def test_own_handler_of_exceptions_is_kept():
    shell = InteractiveShell()
    shell.set_custom_exc((ValueError,), lambda *_: None)
    notebook._prepare(shell)
    assert shell.custom_exceptions == (ValueError,)


ENDLESS = """
    import os, threading
    from nnweek.experiments import in_parallel

    def train(run):
        os.write(1, b"started\\n")  # print would write the line end separately
        while True:
            try:
                sum(range(1000))
            except Exception:
                pass

    try:
        in_parallel(train, range(8))
    except KeyboardInterrupt:
        runs = [t for t in threading.enumerate() if "Pool" in t.name]
        for run in runs:
            run.join(60)
        print("interrupted", [run.name for run in runs if run.is_alive()], flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_interrupt_ends_all_parallel_runs():
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(ENDLESS)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert out.splitlines()[-1] == "interrupted []", (out, err)
    assert "Traceback" not in err
    assert out.count("started") <= 64, "runs that had not begun were cancelled"


def test_failed_run_ends_the_others():
    code = """
        import sys, threading
        from nnweek.experiments import in_parallel
        import joblib; joblib.cpu_count = lambda: 2
        begun = threading.Event()

        def train(run):
            if run == 0:
                begun.wait()
                raise ValueError("run 0 failed")
            begun.set()
            while True:
                pass

        try:
            in_parallel(train, range(2))
        except ValueError as error:
            print(error, [t.name for t in threading.enumerate() if "Pool" in t.name])
    """
    code = textwrap.dedent(code)
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert ran.stdout == "run 0 failed []\n", ran.stderr


def test_interrupt_waits_for_runs_that_end_slowly():
    code = """
        import _thread, threading, time
        from nnweek.experiments import in_parallel

        def train(run):
            begun.set()
            try:
                while True:
                    pass
            finally:
                time.sleep(0.2)
                ended.append(run)

        for _ in range(3):
            begun, ended = threading.Event(), []
            threading.Thread(target=lambda: begun.wait() and _thread.interrupt_main()).start()
            try:
                in_parallel(train, range(8))
            except KeyboardInterrupt:
                print(len(ended) > 0, [t.name for t in threading.enumerate() if "Pool" in t.name])
    """
    code = textwrap.dedent(code)
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert ran.stdout.splitlines() == ["True []"] * 3, ran.stderr
