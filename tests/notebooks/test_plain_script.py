"""The complete script that ends Day 32 runs on its own, without this course's package."""

import ast
import os
import re
import subprocess
import sys

import pytest

from support.notebooks import code_cells

SCRIPT = next(c.source for c in code_cells(32) if c.source.startswith('"""A digit classifier'))


def test_script_needs_no_package_of_the_course():
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(SCRIPT))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [node.names[0].name])
    }
    assert imported == {"os", "pathlib", "socket", "sklearn", "torch", "torchvision"}


@pytest.mark.slow
def test_script_runs_in_a_process_of_its_own(tmp_path):
    """With no source of MNIST, it announces scikit-learn's digits."""
    (tmp_path / "baseline.py").write_text(SCRIPT, encoding="utf-8")
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, "-I", "baseline.py"],
        cwd=tmp_path,
        env={**os.environ, **nowhere, "NNWEEK_DATA": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "MNIST is not available" in done.stdout
    share, low, high = re.search(
        r"test: ([\d.]+)%, 95 % interval ([\d.]+)% to ([\d.]+)%", done.stdout
    ).groups()
    assert 70 < float(low) < float(share) < float(high) < 100
