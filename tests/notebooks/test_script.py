"""The script that ends Day 33 runs on its own, without the course's package."""

import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from support.notebooks import code_cells

SCRIPT = next(cell.source for cell in code_cells(33) if cell.source.startswith("# compare.py"))
WITHOUT_NNWEEK = "import sys; sys.modules['nnweek'] = None; exec(open(sys.argv[1]).read())"


def test_script_is_short_and_does_not_use_the_package():
    lines = [line for line in SCRIPT.splitlines() if line.strip()]
    assert 40 <= len(lines) <= 70
    assert "nnweek" not in SCRIPT


@pytest.mark.slow
def test_script_runs_in_a_new_process(tmp_path):
    file = tmp_path / "compare.py"
    file.write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_NNWEEK, str(file)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    *_, last = done.stdout.splitlines()
    found = re.fullmatch(r"([+-][\d.]+) points, 95 % interval ([+-][\d.]+) to ([+-][\d.]+)", last)
    assert found, done.stdout
    mean, low, high = map(float, found.groups())
    assert low < mean < high
    assert "widen the grid" not in done.stdout


@pytest.fixture(scope="module")
def script():
    """The names that the script defines, without its experiment."""
    names = {}
    threads = torch.get_num_threads()
    exec(SCRIPT.partition("best = {}")[0], names)
    torch.set_num_threads(threads)
    return names


def test_both_optimizers_of_a_seed_start_from_the_same_weights(script):
    for seed in (0, 1):
        one, other = (script["fit"](name, 1e-30, seed) for name in ("SGD", "AdamW"))
        for a, b in zip(one.parameters(), other.parameters(), strict=True):
            assert torch.allclose(a, b)


def test_scripts_three_sets_do_not_overlap_and_cover_all(script):
    parts = [np.arange(len(script["y"]))[script[name]] for name in ("train", "val", "test")]
    assert sorted(np.concatenate(parts)) == list(range(1797))
