"""Run a learner's function so that nothing it does can harm the notebook (Day 29).

A check must survive whatever it is given: exceptions, endless loops, a terabyte of zeros, a
reseeded generator. And it must leave the notebook as it found it.
"""

import contextlib
import copy
import dis
import linecache
import random
import signal
import sys
import threading
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

try:
    import resource
except ImportError:  # Windows, Pyodide
    resource = None

SECONDS = 10.0  # for one call; a first `import torch` inside it may take several
MEMORY = 8 * 2**30  # bytes in addition to what the process has; importing torch maps 3 GiB

_RAISE = dis.opmap["RAISE_VARARGS"]
_LIBRARIES = (
    str(Path(random.__file__).parent),  # the standard library
    str(Path(np.__file__).parent),
    str(Path(__file__).parents[1]),  # nnweek itself
    "<frozen",
    "<__array_function",
)


@dataclass(frozen=True)
class Problem:
    """Why there is nothing to compare: a generic id, and the text of the verdict."""

    id: str
    text: str


@dataclass
class Outcome:
    """What one call did: its value or problem, its warnings, and the arguments afterwards."""

    value: object = None
    problem: Problem | None = None
    warnings: list = field(default_factory=list)
    arguments: tuple = ()  # after the call
    timed_out: bool = False


class TimeUp(BaseException):
    """The call took too long. Not an `Exception`, so that `except Exception` lets it through."""


def call(function, arguments):
    """Call `function` on copies of `arguments` and return the `Outcome`, whatever happens."""
    outcome = Outcome(arguments=copy.deepcopy(tuple(arguments)))
    with (
        warnings.catch_warnings(record=True) as caught,
        np.errstate(divide="warn", over="warn", invalid="warn", under="ignore"),
        _memory_limit(MEMORY),
    ):
        warnings.simplefilter("always")
        try:
            with _time_limit(SECONDS):
                outcome.value = function(*outcome.arguments)
        except TimeUp:
            outcome.timed_out = True
            outcome.problem = Problem(
                "raised",
                f"It was stopped after {SECONDS:g} seconds without an answer. Does the condition of "
                "every loop become false?",
            )
        except (Exception, SystemExit) as error:
            outcome.problem = described(error)
    outcome.warnings = [str(warning.message) for warning in caught]
    return outcome


@contextlib.contextmanager
def undisturbed():
    """Restore, at the end, the global state that a learner's function may have changed."""
    python, old_numpy = random.getstate(), np.random.get_state()
    torch = sys.modules.get("torch")
    if torch is not None:
        before = (torch.get_rng_state(), torch.get_default_dtype(), torch.is_grad_enabled())
    try:
        with np.errstate(all="ignore"), np.printoptions(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(python)
        np.random.set_state(old_numpy)
        if torch is not None:
            torch.set_rng_state(before[0])
            torch.set_default_dtype(before[1])
            torch.set_grad_enabled(before[2])


@contextlib.contextmanager
def _time_limit(seconds):
    """Raise `TimeUp` after so many seconds, if the platform has timers."""
    if (
        not hasattr(signal, "setitimer")
        or threading.current_thread() is not threading.main_thread()
    ):
        yield
        return

    def stop(*_):
        if running:
            raise TimeUp

    running = True
    started = time.monotonic()
    before = signal.signal(signal.SIGALRM, stop)
    # The timer fires repeatedly: a bare `except:` inside the loop may swallow the first.
    remaining, interval = signal.setitimer(signal.ITIMER_REAL, seconds, 0.2)
    try:
        yield
    finally:
        running = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before if before is not None else signal.SIG_DFL)
        if remaining:  # another alarm was set: let it go off at its own time
            left = max(1e-3, remaining - (time.monotonic() - started))
            signal.setitimer(signal.ITIMER_REAL, left, interval)


@contextlib.contextmanager
def _memory_limit(extra):
    """Turn a huge allocation into a MemoryError, before the system kills the kernel (Linux)."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        wanted = pages * resource.getpagesize() + extra
        limits = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_AS, (min([wanted, *limits]), hard))
    except (OSError, ValueError, AttributeError):
        yield
        return
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def described(error):
    """Return an exception as a `Problem`: its type, its message and the learner's own line."""
    trace = error.__traceback__
    innermost = own = None
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        innermost = trace
        if not (name.startswith(_LIBRARIES) or "-packages" in name):
            own = trace
        trace = trace.tb_next
    if isinstance(error, NotImplementedError) and own is innermost and _is_raise(own):
        return Problem("not-attempted", "It still raises NotImplementedError.")
    message = " ".join(str(error).split())
    message = message if len(message) <= 300 else message[:300] + " …"
    text = type(error).__name__ + (f": {message}" if message else "")
    if own is not None:
        line = linecache.getline(own.tb_frame.f_code.co_filename, own.tb_lineno).strip()
        text += f"\nThe error occurred in line {own.tb_lineno} of your code"
        text += f": `{line}`" if line else "."
    if isinstance(error, MemoryError):
        text += "\nThis needs more memory than there is: what is the shape of the array it makes?"
    return Problem("raised", text)


def _is_raise(trace):
    """Return whether the frame stopped at a `raise` statement, not inside a call into C."""
    return trace.tb_frame.f_code.co_code[trace.tb_lasti] == _RAISE
