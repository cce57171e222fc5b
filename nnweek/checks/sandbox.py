"""Run a learner's function so that nothing it does can harm the notebook (Day 29).

A check must survive whatever it is given: exceptions, endless loops, a terabyte of zeros, a
patched `np.exp`. And it must leave the notebook as it found it.

The calls of a check have `SECONDS` together. When they are over, a second thread makes the
function raise `TimeUp`, and each time that one is caught, the next is raised at once, until the
function has ended. What cannot be stopped: a single call into C that neither returns nor looks
for signals, such as `sum(itertools.count())`; outside the main thread, and on Windows, a call
that waits, such as `time.sleep(60)`, ends by itself only; and `os._exit`.
"""

import contextlib
import copy
import dis
import functools
import linecache
import os
import random
import signal
import sys
import threading
import time
import traceback
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nnweek.checks import errors
from nnweek.checks.global_state import GlobalState, RandomNumbers, use_defaults

try:
    import resource
except ImportError:  # Windows, Pyodide
    resource = None
try:
    import ctypes

    # (thread, exception class): it is raised there as soon as Python code runs.
    _raise_in_thread = ctypes.PYFUNCTYPE(None, ctypes.c_ulong, ctypes.py_object)(
        ("PyThreadState_SetAsyncExc", ctypes.pythonapi)
    )
except (ImportError, AttributeError, ValueError):  # PyPy, some Pyodide builds
    ctypes = None

SECONDS = 10.0  # for all calls of a check; a first `import torch` in one may take several
MEMORY = 8 * 2**30  # bytes in addition to what the process has; importing torch maps 3 GiB
CHARACTERS = 4000  # that the calls of a check may print

_RAISE = dis.opmap["RAISE_VARARGS"]
_LIBRARIES = tuple(
    str(folder) + os.sep
    for folder in (
        Path(random.__file__).parent,  # the standard library
        Path(np.__file__).parent,
        Path(__file__).parents[1],  # nnweek itself
    )
) + ("<frozen", "<__array_function")


@dataclass(frozen=True)
class Problem:
    """Why there is nothing to compare.

    Attributes:
        id: a generic id.
        text: the text of the verdict.
        is_numerical: whether it is an exception that other numbers might not have caused.
        at_call: whether the function was not even entered, for example with too many arguments.
    """

    id: str
    text: str
    is_numerical: bool = False
    at_call: bool = False


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


class _Check(threading.local):
    """What the calls of one check share."""

    state = None  # the `GlobalState` that is put back after each call
    seconds_left = None


_check = _Check()


@contextlib.contextmanager
def undisturbed():
    """Run a check in the default state, and restore the learner's own at the end."""
    state, random_numbers = GlobalState(), RandomNumbers()
    before = _check.state, _check.seconds_left
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(np.errstate(all="ignore"))
            stack.enter_context(np.printoptions())
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            torch = sys.modules.get("torch")
            if torch is not None and torch.is_inference_mode_enabled():
                stack.enter_context(torch.inference_mode(False))
            use_defaults()
            left = [CHARACTERS]
            sys.stdout, sys.stderr = _Capped(sys.stdout, left), _Capped(sys.stderr, left)
            _check.state, _check.seconds_left = GlobalState(), SECONDS
            yield
    finally:
        _check.state, _check.seconds_left = before
        state.put_back()
        random_numbers.put_back()


class _Capped:
    """A stream that passes on a limited number of characters and says where it stops."""

    def __init__(self, stream, left):
        self._stream, self._left = stream, left  # `left` is a list, which two streams share

    def write(self, text):
        left = self._left[0]
        if left >= 0:
            self._left[0] -= len(text)
            self._stream.write(text[:left])
            if self._left[0] < 0:
                self._stream.write("\n… The check does not show the rest of what you print.\n")
        return len(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def __getattr__(self, name):
        return getattr(self._stream, name)


def call(function, arguments):
    """Call `function` on copies of `arguments` and return the `Outcome`, whatever happens."""
    if _check.state is None:
        with undisturbed():
            return call(function, arguments)
    outcome = Outcome(arguments=copy.deepcopy(tuple(arguments)))
    started = time.monotonic()
    with warnings.catch_warnings(record=True) as caught, _memory_limit(MEMORY):
        warnings.simplefilter("always")
        try:
            _limited(_check.seconds_left, _attempt, function, outcome)
        except TimeUp as error:
            outcome.timed_out = True
            outcome.problem = Problem("raised", too_slow(SECONDS))
            with contextlib.suppress(TimeUp):
                _limited(1.0, _release, error)
        _check.state.put_back()
    _check.seconds_left = max(0, _check.seconds_left - (time.monotonic() - started))
    outcome.warnings = [str(warning.message) for warning in caught]
    return outcome


def too_slow(seconds):
    """Return the text of the verdict on a function that was stopped."""
    return (
        f"It was stopped after {seconds:g} seconds without an answer. Is there an endless loop, "
        "or is it too slow?"
    )


def _attempt(function, outcome):
    try:
        outcome.value = guarded(function)(*outcome.arguments)
    except (Exception, SystemExit) as error:
        outcome.problem = described(error)


def _release(error):
    """End the generators that a stopped function has left behind."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error.__traceback__, error = None, error.__context__


def guarded(function):
    """Return a function after which NumPy and PyTorch compute as before.

    A trial calls the learner's function several times, and goes on computing in between. It may
    want to see other settings as the function leaves them, such as whether autograd records.
    """

    @functools.wraps(function, updated=())
    def with_functions_put_back(*args, **kwargs):
        with (
            np.errstate(divide="warn", over="warn", invalid="warn", under="ignore"),
            np.printoptions(),
            warnings.catch_warnings(),
        ):
            try:
                return function(*args, **kwargs)
            finally:
                _check.state.put_back_functions()

    return with_functions_put_back


class _Limit:
    """A call in this thread that another thread can stop."""

    def __init__(self):
        self.thread = threading.get_ident()
        self.running = self.over = False
        # Creating the exception, which happens when it is caught, raises the next one. There is
        # no Python code in between, in which that could be raised.
        time_up = type("TimeUp", (TimeUp,), {})
        self.stop = functools.partial(_raise_in_thread, self.thread, time_up)
        time_up.__init__ = staticmethod(self.stop)

    def run(self, function, *arguments):
        """Call the function; once it has ended, nothing more is raised."""
        self.running = True
        try:
            return function(*arguments)
        finally:
            self.running = False
            if self.over:
                # Another exception takes the place of the one that is still to come. A `with` runs
                # Python code, in which that could still be raised.
                try:  # noqa: SIM105
                    _raise_in_thread(self.thread, _Over)
                except _Over:
                    pass


class _Over(Exception):
    """The last exception that is raised in a function whose time is up."""


def _limited(seconds, function, *arguments):
    """Call `function`; raise `TimeUp` in it if it has not ended after so many seconds."""
    if ctypes is None or sys.platform == "emscripten":  # no threads; there the page stops it
        return function(*arguments)
    if seconds <= 0:
        raise TimeUp
    limit, ended = _Limit(), threading.Event()
    # A signal wakes a main thread that waits. SIGURG does nothing if it comes too late.
    wakes = hasattr(signal, "pthread_kill") and (
        threading.current_thread() is threading.main_thread()
    )
    main, recursion_limit = threading.get_ident(), sys.getrecursionlimit()

    def watch():
        pause = seconds
        while not ended.wait(pause):
            pause = 0.05
            if limit.running:
                # A hook in C, since one in Python would be stopped as well. And a few levels more,
                # so that the next exception can be created at the end of an endless recursion.
                sys.unraisablehook = bool
                sys.setrecursionlimit(recursion_limit + 100)
                limit.over = True
                limit.stop()
            if wakes:
                signal.pthread_kill(main, signal.SIGURG)

    before = signal.signal(signal.SIGURG, _wake) if wakes else None
    watchdog = threading.Thread(target=watch, daemon=True)
    try:
        watchdog.start()
        return limit.run(function, *arguments)
    finally:
        ended.set()
        watchdog.join()
        if wakes:
            signal.signal(signal.SIGURG, before if before is not None else signal.SIG_DFL)


def _wake(*_):
    """Do nothing: a pending exception is raised when a Python function is entered."""


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
        if not (name.startswith(_LIBRARIES) or "-packages" in name or name.endswith(".pyx")):
            own = trace  # NumPy's generators are compiled, and name their source without a folder
        trace = trace.tb_next
    if isinstance(error, NotImplementedError) and own is innermost and _is_raise(own):
        return Problem("not-attempted", "It still raises NotImplementedError.")
    message = " ".join(str(error).split())
    message = message if len(message) <= 300 else message[:300] + " …"
    text = type(error).__name__ + (f": {message}" if message else "")
    line = ""
    if own is not None:
        line = linecache.getline(own.tb_frame.f_code.co_filename, own.tb_lineno).strip()
        text += f"\nThe error occurred in line {own.tb_lineno} of your code"
        text += f": `{line}`" if line else "."
    meaning = errors.meaning(error, line, own and own.tb_frame.f_locals)
    text += f"\n{meaning}" if meaning else ""
    return Problem("raised", text, errors.is_numerical(error), at_call=own is None)


def _is_raise(trace):
    """Return whether the frame stopped at a `raise` statement, not inside a call into C."""
    return trace.tb_frame.f_code.co_code[trace.tb_lasti] == _RAISE
