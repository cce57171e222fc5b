"""What may be imported where, and what the docstrings promise.

The NumPy days must run where only NumPy and Matplotlib are installed.
"""

import ast
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

PACKAGE = Path(nnweek.__file__).parent
# The rooms in the order of the table in the package's docstring.
MODULES = re.findall(r"^`(\w+)` ", nnweek.__doc__, flags=re.MULTILINE)

BOOK = PACKAGE.parent / "book"
TITLES = [path.read_text(encoding="utf-8").partition("\n# ")[2] for path in BOOK.glob("*.md")]
TITLES = [title.partition("\n")[0] for title in TITLES]


def run_fresh(code):
    """Run code in a new interpreter that finds this copy of the package; return its output."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r})\n{code}"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# Put in front of a test's code: from then on, these libraries cannot be imported.
ONLY_NUMPY = """
class Guard:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names | {"numpy", "nnweek"}:
            raise ModuleNotFoundError(f"No module named {name!r} (forbidden by the test)", name=name)
sys.meta_path.insert(0, Guard())
"""
NO_TORCH = """
class Guard:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "torchvision", "sklearn", "scipy", "tensorboard", "tqdm"}:
            raise ModuleNotFoundError(f"No module named {name!r} (forbidden by the test)", name=name)
sys.meta_path.insert(0, Guard())
"""


def test_the_package_itself_loads_nothing():
    code = """
before = set(sys.modules)
import nnweek
print(*sorted(set(sys.modules) - before))
"""
    assert run_fresh(code).split() == ["nnweek"]


def test_a_network_is_trained_and_checked_with_numpy_alone():
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


def test_the_guard_of_these_tests_works():
    code = f"""{ONLY_NUMPY}
for name in ("torch", "matplotlib.pyplot", "scipy"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        print(name)
"""
    assert run_fresh(code).split() == ["torch", "matplotlib.pyplot", "scipy"]


def test_a_curve_is_drawn_with_matplotlib_but_without_torch():
    code = f"""{NO_TORCH}
import matplotlib
matplotlib.use("agg")
from nnweek.plots import plot_series
plot_series([3, 2, 1])
print(matplotlib.pyplot.gca().lines[0].get_ydata())
"""
    assert run_fresh(code).strip() == "[3 2 1]"


def test_the_seed_of_torch_is_set_only_where_torch_is_loaded():
    code = """
from nnweek.runtime import set_seed
set_seed(1)
assert "torch" not in sys.modules
"""
    run_fresh(code)


# --- The rooms ---------------------------------------------------------------------------------


def test_the_module_table_names_every_module_and_no_other():
    on_disk = {m.name for m in pkgutil.iter_modules([str(PACKAGE)]) if not m.name.startswith("_")}
    assert len(MODULES) == len(set(MODULES))
    assert set(MODULES) == on_disk


def imported_modules(module_name):
    """The parts of nnweek that the source of a module_name imports, also inside functions."""
    path = PACKAGE / module_name
    files = path.rglob("*.py") if path.is_dir() else [path.with_suffix(".py")]
    for file in files:
        module = ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
        package = module.removesuffix(".__init__") if file.stem == "__init__" else module
        package = package if file.stem == "__init__" else package.rpartition(".")[0]
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                source = importlib.util.resolve_name(
                    "." * node.level + (node.module or ""), package
                )
                names = [f"{source}.{alias.name}" for alias in node.names]
            else:
                continue
            for name in names:
                top, _, rest = name.partition(".")
                if top == "nnweek":
                    yield rest.partition(".")[0]


@pytest.mark.parametrize("module_name", MODULES)
def test_a_module_imports_only_modules_above_it(module_name):
    allowed = {"", "__version__", "_console", "_validate", module_name}
    allowed.update(MODULES[: MODULES.index(module_name)])
    assert set(imported_modules(module_name)) <= allowed


def test_validation_imports_no_other_module():
    assert list(imported_modules("_validate")) == []


# --- Security ------------------------------------------------------------------------------------

SOURCES = sorted(PACKAGE.rglob("*.py"))
# What can run code that stands in a file, or in a text.
FORBIDDEN_MODULES = {"pickle", "dill", "cloudpickle", "marshal", "shelve"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "os.system", "os.popen", "joblib.load"}
FORBIDDEN_WORDS = ("0.0.0.0", "bind_all")  # an address that everybody reaches
# `grade` runs what a learner hands in: that is what it is for, and it says so.
RUNS_CODE = {"grade.py"}


def offences(source):
    """List what in a source may run foreign code, or serve other machines."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            source_of = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            names = [source_of + alias.name for alias in node.names]
            found += [
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
                found.append(name)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += [word for word in FORBIDDEN_WORDS if word in node.value]
    return found


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_nothing_unpickles_runs_text_as_code_or_serves_other_machines(file):
    allowed = {"eval", "exec", "compile"} if file.name in RUNS_CODE else set()
    assert set(offences(file.read_text(encoding="utf-8"))) <= allowed


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
def test_the_search_for_such_things_finds_them(source):
    assert offences(source)
    assert not offences("torch.load(path, weights_only=True); model.eval(); re.compile(text)")


# --- Docstrings ------------------------------------------------------------------------------


def public_things():
    for module_name in MODULES:
        module = importlib.import_module(f"nnweek.{module_name}")
        for name, thing in vars(module).items():
            own = getattr(thing, "__module__", None) == module.__name__
            if own and not name.startswith("_") and callable(thing):
                yield pytest.param(thing, id=f"{module_name}.{name}")


every_public_thing = pytest.mark.parametrize("thing", list(public_things()))


@every_public_thing
def test_every_public_function_and_class_says_where_it_is_introduced(thing):
    text = " ".join((inspect.getdoc(thing) or "").split())
    places = re.findall(r"\bIntroduced on (?:Day (\d+)|the page \*([^*]+)\*)\.", text)
    assert len(places) == 1, "write 'Introduced on Day NN.' into the docstring, once"
    day, page = places[0]
    if page:
        assert page in TITLES
    else:
        assert 29 <= int(day) <= 35


@every_public_thing
def test_a_list_of_arguments_in_a_docstring_is_complete(thing):
    _, found, rest = inspect.getdoc(thing).partition("\nArgs:\n")
    described = rest.partition("\n\n")[0]
    for name in inspect.signature(thing).parameters if found else ():
        assert re.search(rf"^ +(\w+, )*{name}(, \w+)*: ", described, re.MULTILINE), name


@every_public_thing
def test_whatever_checks_its_arguments_says_what_it_raises(thing):
    checks = "|".join(name for name in vars(_validate) if not name.startswith("_"))
    if re.search(rf"\braise \w+Error|\b({checks})\(", inspect.getsource(thing)):
        assert "\nRaises:\n" in inspect.getdoc(thing)


@pytest.mark.parametrize("module_name", MODULES)
def test_every_public_method_has_a_docstring(module_name):
    module = importlib.import_module(f"nnweek.{module_name}")
    for kind in vars(module).values():
        if inspect.isclass(kind) and kind.__module__ == module.__name__:
            for name, method in vars(kind).items():
                if inspect.isfunction(method) and not name.startswith("_"):
                    assert method.__doc__, f"{kind.__name__}.{name}"
