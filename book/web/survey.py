"""Find out which exercises run in the browser, where there are NumPy and the standard library only.

`web.py` starts it with {page: its cells} as JSON on the standard input. The answer, as JSON, names
the exercises whose stub can be checked there and whose solution passes, and the modules of `nnweek`
that can be imported there.
"""

import importlib
import inspect
import json
import pkgutil
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent / "src")]
IN_THE_BROWSER = {"numpy", "nnweek", "kernel", *sys.stdlib_module_names}


class OnlyNumPy(MetaPathFinder):
    """Finds nothing else; it is asked first."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in IN_THE_BROWSER:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def main():
    sys.meta_path.insert(0, OnlyNumPy())
    pages = json.load(sys.stdin)
    modules = ["nnweek", *modules_of("nnweek"), "nnweek.checks", *modules_of("nnweek.checks")]
    runs = [
        cell["exercise"]
        for cells in pages.values()
        for number, cell in enumerate(cells)
        if "exercise" in cell and is_posed(cells[: number + 1]) and is_solved(cell["exercise"])
    ]
    json.dump({"exercises": runs, "modules": modules}, sys.stdout)


def modules_of(package):
    folder = importlib.import_module(package).__path__
    names = [f"{package}.{module.name}" for module in pkgutil.iter_modules(folder)]
    return [name for name in names if not name.endswith("__main__") and is_importable(name)]


def is_importable(name):
    try:
        return hasattr(importlib.import_module(name), "__file__") and "." in name
    except ImportError:
        return False


def is_posed(cells):
    """Whether the stub gets the verdict that there is no answer yet, and no error."""
    import kernel

    return kernel.run(cells, cells[-1]["check"])["verdict"] == "not-attempted"


def is_solved(name):
    """Whether the solution passes; one that needs the results of a training run does not."""
    from nnweek import checks
    from nnweek.checks import solutions
    from nnweek.checks.exercise import Exercise

    try:
        solution = getattr(solutions, name)
        if not isinstance(checks.EXERCISES[name], Exercise):
            if inspect.signature(solution).parameters:
                return False
            solution = solution()
        return bool(checks.EXERCISES[name](solution))
    except Exception:  # its solution, or what it imports, needs more
        return False


if __name__ == "__main__":
    main()
