"""The cells of a page, run in the reader's browser as a notebook would run them.

Each run starts from nothing: of the cells above, it executes what the cell needs, with the
reader's answers in place of the stubs, and a reference solution where there is no answer yet. So
no result depends on what was run before, or in which order.

The module needs nothing of the browser; `worker.js` calls it in Pyodide, and
`tests/book/test_web.py` in CPython.
"""

import ast
import builtins
import contextlib
import io
import json
import linecache
import os
import symtable
import sys
import traceback
import warnings

import numpy as np

from nnweek import checks
from nnweek.checks import progress_store, sandbox
from nnweek.checks.verdict import Progress, Verdict

CHARACTERS = 20_000  # that a run may print


def start(book, hints, passed):
    """Prepare for a page.

    Args:
        book: the address of the site, to which verdicts link.
        hints: {exercise: what `given_hints` returned for it}.
        passed: names of the exercises that have passed already.
    """
    os.environ["NNWEEK_BOOK"] = book
    given = {name: ast.literal_eval(text) for name, text in hints.items() if text}
    progress_store.set_given_hints({**progress_store.given_hints(), **given})
    for name in passed:
        if name in checks.EXERCISES:
            progress_store.keep_pass(name, checks.EXERCISES[name].day)


def stopped(exercise, seconds):
    """Return the result of a cell that the page has to stop after so many seconds."""
    verdict = Verdict(exercise, False, "raised", sandbox.too_slow(seconds))
    return {"text": "", "html": as_html(verdict), "verdict": verdict.mistake}


def run(cells, check=None):
    """Execute the last cell and return what to show: a dictionary of texts.

    Args:
        cells: the page's cells up to this one: a list of dictionaries with `source` and, for
            an exercise, `exercise` and `answered`, whether the source is the reader's.
        check: the call of the check, such as "checks.backward(backward)"; without it, the
            value of the last expression is shown.
    """
    *above, own = cells
    output = Output(CHARACTERS)
    result = {"html": "", "verdict": None}
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            with undone():
                result |= execute(above, own, check)
        except BaseException as error:
            output.end_line()
            output.write(explained(error))
        if exercise := own.get("exercise"):
            hints = progress_store.given_hints().get(exercise)
            result["hints"] = repr(hints) if hints else ""
    return {"text": output.getvalue(), **result}


@contextlib.contextmanager
def undone():
    """Undo what a cell changes of Python and NumPy, which all cells share."""
    modules = dict(sys.modules)
    before = [(one.__dict__, dict(one.__dict__)) for one in (builtins, np)]
    with np.printoptions(), np.errstate():
        try:
            yield
        finally:  # even without builtins
            sys.modules |= modules
            for names, values in before:
                names |= values


def execute(above, own, check):
    tree = parse(own["source"], own.get("exercise") or "cell")
    statements = [one for one in tree.body if not is_check(one)]
    namespace = {"__name__": "__main__", "__builtins__": builtins}
    prepare(namespace, above, names_needed(statements, check))
    last = None
    if not check and statements and isinstance(statements[-1], ast.Expr):
        last = ast.Expression(statements.pop().value)
    exec(compile(ast.Module(statements, []), tree.name, "exec"), namespace)
    if last:
        value = eval(compile(last, tree.name, "eval"), namespace)
        if isinstance(value, (Verdict, Progress)):
            return {"html": as_html(value)}
        if value is not None:
            print(repr(value))
    if check:
        verdict = eval(check, {**namespace, "checks": checks})
        outcome = "passed" if verdict.passed else verdict.mistake
        return {"html": as_html(verdict), "verdict": outcome}
    return {}


def prepare(namespace, above, names):
    """Execute the statements above that define these names, and what they need in turn."""
    statements, replaced = [], []
    for number, cell in enumerate(above):
        name = cell.get("exercise")
        try:
            tree = parse(cell["source"], name or f"cell {number + 1}")
        except SyntaxError:  # an answer that is being written
            if not name:
                continue
            cell, tree = {**cell, "answered": False}, ast.parse(f"{name} = None")
        if name and not cell.get("answered") and any(name in bound(one) for one in tree.body):
            tree.body = ast.parse(f"({name},) = checks.or_solution({name!r})").body
            tree.name = "solution"
            replaced.append(tree.body[0])
        statements += [(one, tree.name) for one in tree.body]
    needed, wanted, before = set(), set(names), None
    while before != len(wanted):  # a function may read what is defined below it
        before = len(wanted)
        for number, (statement, _) in enumerate(statements):
            if bound(statement) & wanted:
                needed.add(number)
                wanted |= names_read(statement)
    if any(statements[number][0] in replaced for number in needed):
        namespace["checks"] = checks
    for number in sorted(needed):
        statement, name = statements[number]
        is_shown = statement in replaced
        with (
            contextlib.nullcontext() if is_shown else contextlib.redirect_stdout(io.StringIO()),
            # What does not run here leaves its names undefined, and only who reads them hears so.
            contextlib.suppress(Exception),
        ):
            exec(compile(ast.Module([statement], []), name, "exec"), namespace)


def parse(source, name):
    """Parse a cell whose lines an error message may quote."""
    name = f"<{name}>"
    lines = source.splitlines(keepends=True)
    linecache.cache[name] = (len(source), None, lines, name)
    tree = ast.parse(source, name)
    tree.name = name
    return tree


def is_check(statement):
    """Whether a statement is a call of a check, which *Check* makes and *Run* leaves out."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    function = call.func if isinstance(call, ast.Call) else None
    return (
        isinstance(function, ast.Attribute)
        and ast.unparse(function.value) == "checks"
        and function.attr in checks.EXERCISES
    )


def names_needed(statements, check):
    """Return the names that a cell and its check read and that the cell does not define."""
    own = set().union(*map(bound, statements))
    functions = [one for one in statements if isinstance(one, (ast.FunctionDef, ast.ClassDef))]
    defined = {one.name for one in functions}
    return names_read(*statements) - defined | names_read(*ast.parse(check or "").body) - own


def names_read(*statements):
    """Return the global names that statements and the functions in them read."""
    source = "\n".join(map(ast.unparse, statements))
    tables, found = [symtable.symtable(source, "cell", "exec")], set()
    for table in tables:  # it grows
        tables += table.get_children()
        for symbol in table.get_symbols():
            if symbol.is_global() or (table.get_type() == "module" and symbol.is_referenced()):
                found.add(symbol.get_name())
    return found - vars(builtins).keys()


def bound(statement):
    """Return the names that a statement defines, or whose values it changes."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return {statement.name}
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return {(one.asname or one.name).partition(".")[0] for one in statement.names}
    found = set()
    for node in ast.walk(statement):
        if isinstance(getattr(node, "ctx", None), ast.Store):
            while not isinstance(node, ast.Name) and hasattr(node, "value"):
                node = node.value  # x.a[0] = … changes x
            if isinstance(node, ast.Name):
                found.add(node.id)
    return found


def explained(error):
    """Return the traceback of an error, from the first line of a cell on."""
    trace = error.__traceback__
    while trace and not trace.tb_frame.f_code.co_filename.startswith("<"):
        trace = trace.tb_next
    lines = traceback.format_exception(type(error), error, trace, chain=False)
    if isinstance(error, ModuleNotFoundError):
        lines.append("The browser has NumPy and the standard library; Colab has the rest.")
    return "".join(lines)


def as_html(value):
    """Return a value's HTML; the place where it is shown is announced, not each verdict."""
    return value._repr_html_().replace(' role="status"', "", 1)


class WarnsOfOverflow:
    """A function of NumPy that warns of an overflow by itself: WebAssembly reports none."""

    def __init__(self, ufunc):
        self._ufunc = ufunc

    def __call__(self, *args, **options):
        result = self._ufunc(*args, **options)
        treatment = np.geterr()["over"]
        if treatment != "ignore" and np.any(np.isinf(result) & are_finite(args)):
            text = f"overflow encountered in {self._ufunc.__name__}"
            if treatment == "raise":
                raise FloatingPointError(text)
            warnings.warn(text, RuntimeWarning, stacklevel=2)
        return result

    def __getattr__(self, name):
        return getattr(self._ufunc, name)


def are_finite(arrays):
    return np.logical_and.reduce(np.broadcast_arrays(*map(np.isfinite, arrays)))


if sys.platform == "emscripten":
    for name in ("exp", "exp2", "expm1", "cosh", "sinh", "power"):
        setattr(np, name, WarnsOfOverflow(getattr(np, name)))


class Output(io.StringIO):
    """What a run prints, up to a number of characters."""

    def __init__(self, most):
        super().__init__()
        self.left = most

    def write(self, text):
        if self.left >= 0:
            super().write(text[: self.left])
            self.left -= len(text)
            if self.left < 0:
                super().write("\n… The rest of what you print is not shown.\n")
        return len(text)

    def end_line(self):
        if self.getvalue()[-1:] not in ("", "\n"):
            super().write("\n")


def answer(request):
    """Call one of the functions above by a message: JSON in, JSON out."""
    call = json.loads(request)
    function = {"start": start, "run": run, "stopped": stopped}[call.pop("do")]
    return json.dumps(function(**call))
