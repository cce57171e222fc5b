"""Run code in a new interpreter."""

import os
import subprocess
import sys

from support import ROOT

PYTHONPATH = os.pathsep.join([str(ROOT), str(ROOT / "tests")])


def run(code, *arguments, front=(), **environment):
    """Run code in a new interpreter, without the settings of this one; return its output."""
    plain = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("NNWEEK_", "XDG_", "PYTHON"))
    }
    done = subprocess.run(
        [*map(str, front), sys.executable, "-c", code, *map(str, arguments)],
        env={**plain, "PYTHONPATH": PYTHONPATH, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
