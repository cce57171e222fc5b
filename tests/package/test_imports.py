"""Imports between modules, forbidden calls, and the form of the docstrings.

The NumPy days must run with only NumPy and Matplotlib installed.
"""

import ast
import graphlib
import importlib
import importlib.util
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import nnweek
from nnweek import _validate
from support.notebooks import DAYS

PACKAGE = Path(nnweek.__file__).parent
# The modules, in the order of the table in the package's docstring.
MODULES = re.findall(r"^`(\w+)` ", nnweek.__doc__, flags=re.MULTILINE)

BOOK = PACKAGE.parent / "book"
TITLES = [path.read_text(encoding="utf-8").partition("\n# ")[2] for path in BOOK.glob("*.md")]
TITLES = [title.partition("\n")[0] for title in TITLES]


def run_fresh(code):
    """Run code in a new interpreter with this copy of the package; return its output."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r})\n{code}"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# Prepended to a test's code: importing any other library raises an error.
ONLY_NUMPY = """
class Guard:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in sys.stdlib_module_names | {"numpy", "nnweek"}:
            raise ModuleNotFoundError(f"No module named {name!r} (forbidden by the test)", name=name)
sys.meta_path.insert(0, Guard())
for name in ("torch", "matplotlib.pyplot", "scipy"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    raise AssertionError("the guard does not work")
"""


def test_importing_the_package_or_setting_a_seed_loads_no_library():
    code = """
before = set(sys.modules)
import nnweek
print(*sorted(set(sys.modules) - before))
from nnweek.runtime import set_seed
set_seed(1)
assert "torch" not in sys.modules
"""
    assert run_fresh(code).split() == ["nnweek"]


def test_network_is_trained_and_checked_with_only_numpy():
    code = f"""{ONLY_NUMPY}
import nnweek, nnweek.runtime, nnweek.results
from nnweek.toy import make_toy_data
from nnweek.scratch import TwoLayerMLP, train_numpy
from nnweek.gradcheck import grad_check, numerical_gradient

nnweek.runtime.set_seed(42)
X, y = make_toy_data(20)
model = TwoLayerMLP(2, 8, 2, weight_scale=0.1)
losses = train_numpy(model, X, y, lr=0.5, epochs=100, verbose=False)
assert losses[-1] < 0.2 < losses[0]
assert grad_check(model, X[:5], y[:5])[0] < 1e-6
assert numerical_gradient(lambda x: (x**2).sum(), [1.0]).round(6) == 2
"""
    run_fresh(code)


def test_update_steps_and_curves_need_no_torch():
    code = """
import matplotlib
for name in ("torch", "torchvision", "sklearn", "scipy", "tensorboard", "tqdm"):
    sys.modules[name] = None  # from now on, the import fails
from nnweek.optimizers import STEPS, adam_step, known_optimizer
w, m, v = adam_step(1.0, 0.5, 0.0, 0.0, t=1, lr=0.1)
assert round(w, 6) == 0.9
assert known_optimizer("name", "adamw") in STEPS

matplotlib.use("agg")
from nnweek.plots import plot_series
plot_series([3, 2, 1])
print(matplotlib.pyplot.gca().lines[0].get_ydata())
"""
    assert run_fresh(code).strip() == "[3 2 1]"


FILES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def imports_of(module_name):
    """The modules of nnweek that a module imports, including imports inside functions."""
    file = FILES[module_name]
    package = f"nnweek.{module_name}"
    package = package if file.stem == "__init__" else package.rpartition(".")[0]
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            source = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names |= {f"{source}.{alias.name}" for alias in node.names}
    for name in (name.removeprefix("nnweek.") for name in names if name.startswith("nnweek.")):
        yield name if name in FILES else name.rpartition(".")[0] or "__init__"


IMPORTS = {name: set(imports_of(name)) - {"__init__"} for name in FILES}


def test_module_table_lists_exactly_the_modules():
    on_disk = {m.name for m in pkgutil.iter_modules([str(PACKAGE)]) if not m.name.startswith("_")}
    assert len(MODULES) == len(set(MODULES))
    assert set(MODULES) == on_disk


@pytest.mark.parametrize("module_name", FILES)
def test_module_imports_only_modules_above_it(module_name):
    """In the order of the table: the library, the checks, the commands."""
    top, order = (
        module_name.partition(".")[0],
        ["_console", "_tokens", "_figures", "_validate", *MODULES],
    )
    allowed = set(order if top.startswith("__") else order[: order.index(top)])
    if FILES[top].stem == "__init__":
        allowed.add(top)  # the modules of a package may import each other
    assert {name.partition(".")[0] for name in IMPORTS[module_name]} <= allowed


def test_imports_within_a_package_have_no_cycles():
    """An `__init__.py` is left out: it lists the modules below it."""
    packages = {name for name, file in FILES.items() if file.stem == "__init__"}
    graph = {name: IMPORTS[name] - packages for name in FILES if name not in packages}
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError


# What can run code from a file or a string.
FORBIDDEN_MODULES = {"pickle", "dill", "cloudpickle", "marshal", "shelve"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "os.system", "os.popen", "joblib.load"}
FORBIDDEN_WORDS = ("0.0.0.0", "bind_all")  # would serve other machines
# Running submissions is the purpose of one; the other evaluates an assertion of the cell again.
RUNS_CODE = {"commands.grade", "notebook"}


def offences(source):
    """List the calls of a source that may run foreign code or serve other machines."""
    offending = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            source_of = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            names = [source_of + alias.name for alias in node.names]
            offending += [
                name
                for name in names
                if name.partition(".")[0] in FORBIDDEN_MODULES or name in FORBIDDEN_CALLS
            ]
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            options = {option.arg: ast.unparse(option.value) for option in node.keywords}
            unsafe = name == "torch.load" and options.get("weights_only") != "True"
            unsafe |= options.get("shell", "False") != "False"
            unsafe |= options.get("allow_pickle", "False") != "False"
            if unsafe or name in FORBIDDEN_CALLS:
                offending.append(name)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            offending += [word for word in FORBIDDEN_WORDS if word in node.value]
    return offending


@pytest.mark.parametrize("module_name", FILES)
def test_package_runs_no_foreign_code_and_serves_only_this_machine(module_name):
    allowed = {"eval", "exec", "compile"} if module_name in RUNS_CODE else set()
    assert set(offences(FILES[module_name].read_text(encoding="utf-8"))) <= allowed


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "eval(text)",
        "os.system(text)",
        "subprocess.run(text, shell=True)",
        "numpy.load(path, allow_pickle=True)",
        "Server(('0.0.0.0', 80))",
        "start('--bind_all')",
    ],
)
def test_security_search_finds_what_it_looks_for(source):
    assert offences(source)
    assert not offences("torch.load(path, weights_only=True); model.eval(); re.compile(text)")


# The library, the exercises, and what the checks and commands offer to others.
DOCUMENTED = [
    *MODULES,
    "checks.faulty_runs",
    *(n for n in FILES if n.startswith("commands.") and "._" not in n),
]


def public_objects():
    for module_name in DOCUMENTED:
        module = importlib.import_module(f"nnweek.{module_name}")
        for name, thing in vars(module).items():
            own = getattr(thing, "__module__", None) == module.__name__
            if own and not name.startswith("_") and callable(thing):
                yield pytest.param(thing, id=f"{module_name}.{name}")


@pytest.mark.parametrize("thing", list(public_objects()))
def test_docstring_is_complete(thing):
    """It says where the object is introduced, and lists all arguments and that it raises."""
    text = inspect.getdoc(thing) or ""
    places = re.findall(
        r"\bIntroduced on (?:Day (\d+)|the page \*([^*]+)\*)\.", " ".join(text.split())
    )
    assert len(places) == 1, "write 'Introduced on Day NN.' into the docstring, once"
    day, page = places[0]
    assert page in TITLES if page else int(day) in DAYS

    _, heading, rest = text.partition("\nArgs:\n")
    described = rest.partition("\n\n")[0]
    for name in inspect.signature(thing).parameters if heading else ():
        assert re.search(rf"^ +(\w+, )*{name}(, \w+)*: ", described, re.MULTILINE), name

    checks = "|".join(name for name in vars(_validate) if not name.startswith("_"))
    if re.search(rf"\braise \w+Error|\b({checks})\(", inspect.getsource(thing)):
        assert "\nRaises:\n" in text

    for name, method in vars(thing).items() if inspect.isclass(thing) else ():
        if inspect.isfunction(method) and not name.startswith("_"):
            assert method.__doc__, name
