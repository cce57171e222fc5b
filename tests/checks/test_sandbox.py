"""Nothing that a submission does can hurt the check, or what comes after it."""
# ruff: noqa: B012, E722, SIM105 - endless loops, as learners write them

import builtins
import contextlib
import gc
import math
import os
import random
import select
import signal
import socket
import sys
import threading
import time
import warnings

import numpy as np
import pytest
import torch

from nnweek import checks
from nnweek.checks import sandbox, solutions
from support.submissions import NAMES, first_verdict, solution_of

# All others are `slow`.
FAST = ("backward", "mlp", "train_one_epoch")
every_exercise = pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n not in FAST)) for n in NAMES]
)


def test_keyboard_interrupt_stops_the_check():
    def submission(logits):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checks.softmax(submission)


@pytest.mark.parametrize("size", [2**34, 2**45])
def test_huge_allocation_is_reported(size):
    if size < 2**40 and not sys.platform.startswith("linux"):
        pytest.skip("only Linux limits the memory of a process")
    verdict = checks.forward(lambda X, *rest: np.ones(size) + X[0, 0])
    assert verdict.mistake == "raised"
    assert "memory" in verdict.hint.lower()


def test_endless_recursion_is_reported():
    def submission(logits):
        return submission(logits)

    assert "RecursionError" in checks.softmax(submission).hint


def sleeps(logits):
    while True:
        time.sleep(9)


def computes_with_bare_except(logits):
    while True:
        try:
            while True:
                pass
        except:
            pass


def sleeps_with_bare_except(logits):
    while True:
        try:
            time.sleep(9)
        except:
            pass


def sleeps_inside_handlers(logits):
    while True:
        try:
            while True:
                try:
                    try:
                        time.sleep(9)
                    except:
                        time.sleep(9)
                except:
                    pass
        except:
            pass


def continues_in_finally(logits):
    while True:
        try:
            time.sleep(9)
        finally:
            continue


def suppresses_everything(logits):
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(9)


def waits_for_a_lock(logits):
    lock = threading.Lock()
    lock.acquire()
    while True:
        try:
            lock.acquire()
        except:
            pass


def waits_for_a_connection(logits):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        while True:
            try:
                server.accept()
            except:
                pass


def never_lets_go():
    try:
        yield 1
    finally:
        while True:
            try:
                time.sleep(9)
            except:
                pass


def leaves_a_generator(logits):
    for _ in never_lets_go():
        time.sleep(9)


def recurses_after_every_error(logits):
    try:
        return recurses_after_every_error(logits)
    except:
        return recurses_after_every_error(logits)


def ignores_signals(logits):
    for number in (signal.SIGALRM, signal.SIGURG):
        signal.signal(number, signal.SIG_IGN)
    while True:
        try:
            math.sqrt(2)
        except:
            pass


ENDLESS = [
    sleeps,
    computes_with_bare_except,
    sleeps_with_bare_except,
    sleeps_inside_handlers,
    continues_in_finally,
    suppresses_everything,
    waits_for_a_lock,
    waits_for_a_connection,
    leaves_a_generator,
    recurses_after_every_error,
    ignores_signals,
]


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals on this platform")
@pytest.mark.parametrize("submission", ENDLESS)
def test_endless_loop_is_stopped_with_a_message(monkeypatch, submission):
    monkeypatch.setattr(sandbox, "SECONDS", 0.2)
    before = sys.getrecursionlimit(), sys.unraisablehook, signal.getsignal(signal.SIGURG)
    verdict = first_verdict("softmax", submission)
    assert verdict.mistake == "raised"
    assert "0.2 seconds" in verdict.hint
    assert (sys.getrecursionlimit(), sys.unraisablehook, signal.getsignal(signal.SIGURG)) == before
    assert checks.softmax(solutions.softmax).passed


@pytest.mark.skipif(sys.platform != "linux", reason="a fork with threads is safe on Linux only")
def test_endless_loop_is_stopped_in_a_forked_process(monkeypatch):
    monkeypatch.setattr(sandbox, "SECONDS", 0.2)
    torch.ones(300, 300) @ torch.ones(300, 300)  # starts PyTorch's threads, which a fork lacks
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, first_verdict("softmax", sleeps_with_bare_except).hint.encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as verdict:
        came, _, _ = select.select([verdict], [], [], 60)
        if not came:
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert "0.2 seconds" in verdict.read()


def test_endless_loop_is_stopped_in_another_thread(monkeypatch):
    monkeypatch.setattr(sandbox, "SECONDS", 0.2)
    verdicts = []
    thread = threading.Thread(
        target=lambda: verdicts.append(checks.softmax(computes_with_bare_except)), daemon=True
    )
    thread.start()
    thread.join(60)
    assert "0.2 seconds" in verdicts[0].hint


def test_endless_network_is_stopped(monkeypatch):
    """It runs in the trial, after the learner's function has returned."""

    class Network(torch.nn.Module):
        def forward(self, x):
            while True:
                with contextlib.suppress(BaseException):
                    time.sleep(9)

    solutions.mlp()  # what it imports should not count
    monkeypatch.setattr(sandbox, "SECONDS", 0.5)
    assert "0.5 seconds" in first_verdict("mlp", Network).hint
    assert checks.mlp(solutions.mlp).passed, "no mode of the trial is left behind"


def test_calls_of_a_check_share_the_time(monkeypatch):
    monkeypatch.setattr(sandbox, "SECONDS", 0.5)
    calls = []

    def slow(logits):
        calls.append(logits)
        time.sleep(0.2)
        return solutions.softmax(logits)

    assert "0.5 seconds" in first_verdict("softmax", slow).hint
    assert len(calls) <= 3


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this platform")
def test_alarm_of_the_caller_still_goes_off():
    alarms = []
    before = signal.signal(signal.SIGALRM, lambda *_: alarms.append(True))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        checks.forward(lambda *a: (time.sleep(0.05), solutions.forward(*a))[1])
        assert alarms
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def global_state():
    return (
        random.getstate(),
        str(np.random.get_state()),
        torch.get_rng_state().tolist(),
        np.geterr(),
        sys.getrecursionlimit(),
        sys.gettrace(),
        (sys.stdin, sys.stdout, sys.stderr),
        os.getcwd(),
        dict(os.environ),
        gc.isenabled(),
        torch.get_num_threads(),
        torch.get_default_device(),
        torch.get_deterministic_debug_mode(),
        torch.is_inference_mode_enabled(),
        str(np.get_printoptions()),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        list(warnings.filters),
    )


@every_exercise
def test_check_restores_the_global_state(name):
    def rude(*args):
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)
        np.seterr(all="raise")
        np.set_printoptions(precision=1)
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        torch.set_default_device("meta")
        torch.set_deterministic_debug_mode(2)
        torch.set_num_threads(1 + torch.get_num_threads())
        warnings.simplefilter("error")
        sys.setrecursionlimit(sys.getrecursionlimit() + 1)
        sys.settrace(lambda *a: None)
        sys.stdout = sys.stderr = sys.stdin = None
        os.chdir("/")
        os.environ["RUDE"] = "1"
        gc.disable()
        for arg in args:
            if isinstance(arg, np.ndarray):
                arg[...] = 0
        return solution_of(name)(*args)

    random.random(), np.random.rand(), torch.rand(1)
    before = global_state()
    checks.EXERCISES[name](rude)
    assert global_state() == before
    assert checks.EXERCISES[name](solution_of(name)), "the next check is not affected"


PATCHES = [
    (np, "exp"),
    (np, "asarray"),
    (np, "abs"),
    (np.linalg, "norm"),
    (np.random, "default_rng"),
    (math, "sqrt"),
    (builtins, "len"),
    (builtins, "zip"),
    (builtins, "all"),
    (torch, "equal"),
    (torch.nn.functional, "cross_entropy"),
    (torch.nn.Module, "__call__"),
    (torch.Tensor, "__add__"),
    (torch.Tensor, "backward"),
]


@pytest.mark.parametrize(("owner", "name"), PATCHES, ids=[name for _, name in PATCHES])
@pytest.mark.parametrize("exercise", ["softmax", "backward", "init_weights", "train_step"])
def test_patched_function_is_put_back(exercise, owner, name):
    original = vars(owner).get(name)

    def submission(*args):
        value = solution_of(exercise)(*args)
        setattr(owner, name, lambda *a, **k: 1 / 0)
        return value

    verdict = first_verdict(exercise, submission)
    assert vars(owner).get(name) is original
    assert verdict.passed, verdict


@contextlib.contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextlib.contextmanager
def default_device(device):
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextlib.contextmanager
def strict():
    with np.errstate(all="raise"), warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


SURROUNDINGS = {
    "strict": strict,
    "float64": lambda: default_dtype(torch.float64),
    "float16": lambda: default_dtype(torch.float16),
    "meta": lambda: default_device("meta"),
    "cpu": lambda: default_device("cpu"),
    "with meta": lambda: torch.device("meta"),
    "inference_mode": torch.inference_mode,
    "no_grad": torch.no_grad,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
}


@every_exercise
@pytest.mark.parametrize("surroundings", SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_check_works_whatever_the_learner_has_set(name, surroundings):
    with surroundings():
        before = global_state()
        assert checks.EXERCISES[name](solution_of(name)).passed
        assert not checks.EXERCISES[name](lambda *a: 0).passed
        assert global_state() == before


@every_exercise
def test_check_works_in_another_thread(name):
    verdicts = []
    thread = threading.Thread(
        target=lambda: verdicts.append(checks.EXERCISES[name](solution_of(name)))
    )
    thread.start()
    thread.join()
    assert verdicts[0].passed


def test_printing_is_passed_on_up_to_a_limit(capfd):
    def talks(logits):
        print("a line")
        return solutions.softmax(logits)

    assert checks.softmax(talks).passed
    assert capfd.readouterr().out.count("a line") >= 3

    def floods(logits):
        for number in range(20_000):
            print(number, file=random.choice([sys.stdout, sys.stderr]))
        return solutions.softmax(logits)

    assert checks.softmax(floods).passed
    shown = "".join(capfd.readouterr())
    assert "does not show the rest" in shown
    assert len(shown) < 5000
