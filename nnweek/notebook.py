"""How a day's notebook behaves when somebody plays with it (from Day 29 on).

Below a measurement, a day's notebook compares what was measured with what the text says about it:

    with text_says("the last batch of an epoch is smaller than the others"):
        assert sizes[-1] < sizes[0]

The text describes the published run, so the claims must hold when the book is built and when
pytest runs the notebooks; both set NNWEEK_STRICT. In a notebook that somebody plays with, a
claim that no longer holds is no error: a line says what differs, and the notebook goes on.
If the notebook sets `SMALL = True`, which takes a part of the data, its claims are not checked.

Whatever takes seconds shows a `progress_bar`, and an interrupted cell says so in one sentence.
"""

import ast
import linecache
import os
import sys
import threading
import warnings

from nnweek._console import printable

INTERRUPTED = (
    "Stopped: nothing goes on in the background. Run the cell again to start it from the beginning."
)


class text_says:
    """Check claims of the text inside a `with` block. Introduced on Day 29.

    Args:
        claim: what the text says, as a clause: "the loss falls".

    Raises:
        AssertionError: if NNWEEK_STRICT is set and an assertion in the block fails, or the block
            raises an exception. Otherwise one printed line says what differs, or nothing if the
            notebook sets `SMALL`.
    """

    def __init__(self, claim):
        self.claim = claim

    def __enter__(self):
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        warnings.simplefilter("ignore")  # of the mean of an empty slice, say: one line is enough
        return self

    def __exit__(self, kind, error, trace):
        found = _found(error, trace) if isinstance(error, Exception) else None
        self._warnings.__exit__(kind, error, trace)
        if found is None:
            return False
        if trace.tb_frame.f_globals.get("SMALL"):
            return True
        if os.environ.get("NNWEEK_STRICT"):
            raise AssertionError(f"The text says that {self.claim}, but {found}.") from error
        print(printable(f"The text says that {self.claim}. In your run, {found}."))
        return True


def _found(error, trace):
    """Say which assertion failed, with the values in it: "`loss` is 2.3, not `loss < 0.1`"."""
    frame = trace.tb_frame
    test = _failed_test(frame.f_code.co_filename, trace.tb_lineno)
    if not isinstance(error, AssertionError) or test is None:
        return f"that cannot be checked ({type(error).__name__}: {error})"
    values = [
        f"`{ast.unparse(part)}` is {_short(value)}"
        for part in _operands(test)
        for value in _value(part, frame)
    ]
    condition = f"`{ast.unparse(test)}` does not hold"
    return f"{' and '.join(values)}, so {condition}" if values else condition


def _failed_test(filename, line):
    """Return the condition of the assert statement at this line, or None."""
    try:
        tree = ast.parse("".join(linecache.getlines(filename)))
    except SyntaxError:  # a cell with a magic command
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert) and node.lineno <= line <= node.end_lineno:
            return node.test
    return None


def _operands(test):
    """Return the parts of a condition whose values explain it."""
    if isinstance(test, ast.BoolOp):
        return [part for value in test.values for part in _operands(value)]
    parts = [test.left, *test.comparators] if isinstance(test, ast.Compare) else []
    return [part for part in parts if any(isinstance(n, ast.Name) for n in ast.walk(part))]


def _value(part, frame):
    """Yield the value of an expression in a frame, or nothing if it cannot be computed again."""
    try:
        yield eval(
            compile(ast.Expression(part), "<claim>", "eval"), frame.f_globals, frame.f_locals
        )
    except Exception:
        return


def _short(value):
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:60] + "…"


def progress_bar(iterable=None, *, show=None, **options):
    """Return a tqdm bar that disappears when it is done. Introduced on Day 32.

    Args:
        iterable: what to iterate over, or None for a bar that is updated by hand.
        show: whether to show it; by default only in a terminal or a notebook, and not in a
            thread, whose bar would overwrite the others. TQDM_DISABLE hides every bar.
        options: of tqdm, such as `desc` and `total`.
    """
    from tqdm import tqdm

    if show is None:
        in_main_thread = threading.current_thread() is threading.main_thread()
        show = in_main_thread and (sys.stdout.isatty() or "ipykernel" in sys.modules)
    if not show:
        options["disable"] = True  # if it is shown, TQDM_DISABLE decides
    return tqdm(iterable, leave=False, file=sys.stdout, **options)


def _say_interrupted(shell, kind, error, trace, tb_offset=None):
    """Show one sentence in place of the traceback of an interrupt."""
    if "torch" in sys.modules:  # the interrupt may have come just before PyTorch's own clean-up
        sys.modules["torch"].set_grad_enabled(True)
    text = [f"{kind.__name__}: {INTERRUPTED}"]
    shell._showtraceback(kind, error, text)
    return text


def _prepare(shell):
    """Let an interrupted cell end with one sentence, unless the learner set something else."""
    if shell is not None and not shell.custom_exceptions:
        shell.set_custom_exc((KeyboardInterrupt,), _say_interrupted)


if "ipykernel" in sys.modules:
    from IPython import get_ipython

    _prepare(get_ipython())
