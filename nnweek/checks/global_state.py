"""Save the global state of Python, NumPy and PyTorch, and put it back (Day 29).

A submission may patch `np.exp`, change the default device or leave a trace function behind. A
check saves the state once and puts it back after each call, which takes a fraction of a
millisecond: setting what has not changed is cheap. Random numbers are put back once, at the end
of a check, so that two calls within it still draw different ones.
"""

import builtins
import gc
import os
import random
import signal
import sys
import threading
import warnings

import numpy as np

_PATCHABLE_MODULES = (
    "builtins",
    "math",
    "random",
    "numpy",
    "numpy.linalg",
    "numpy.random",
    "torch",
    "torch.linalg",
    "torch.nn",
    "torch.nn.functional",
    "torch.optim",
)
_PATCHABLE_CLASSES = {
    "torch": ("Tensor",),
    "torch.nn": ("Module", "Linear", "ReLU", "CrossEntropyLoss"),
    "torch.optim": ("Optimizer", "SGD", "Adam"),
}

# Bound here, so that nobody who patches these modules can reach them.
_builtins = vars(builtins)
_all, _map, _same, _setattr, _delattr = all, map, (lambda a, b: a is b), setattr, delattr
_random_numbers = (
    (random.getstate, random.setstate),
    (np.random.get_state, np.random.set_state),
)


class GlobalState:
    """The global state at the moment of creation; `put_back` restores it."""

    def __init__(self):
        modules = [sys.modules[name] for name in _PATCHABLE_MODULES if name in sys.modules]
        self._modules = [(vars(module), dict(vars(module))) for module in modules]
        self._classes = [
            (getattr(sys.modules[module], name), dict(vars(getattr(sys.modules[module], name))))
            for module, names in _PATCHABLE_CLASSES.items()
            if module in sys.modules
            for name in names
        ]
        self._settings = [(write, read, read()) for read, write in _settings()]

    def put_back(self):
        """Restore what has changed; names that were added to a module are left there."""
        self.put_back_functions()
        for write, read, value in self._settings:
            if read() != value:
                write(value)

    def put_back_functions(self):
        """Restore only the functions that were patched."""
        _builtins.update(self._modules[0][1])
        for namespace, names in self._modules:
            namespace.update(names)
        for class_, names in self._classes:
            now = vars(class_)
            if now.keys() == names.keys() and _all(_map(_same, now.values(), names.values())):
                continue
            for name in [name for name in now if name not in names]:
                _delattr(class_, name)
            for name, value in names.items():
                if now.get(name) is not value:
                    _setattr(class_, name, value)


class RandomNumbers:
    """The states of all global random generators at the moment of creation."""

    def __init__(self):
        pairs = list(_random_numbers)
        torch = sys.modules.get("torch")
        if torch is not None:
            generator = torch.default_generator
            pairs.append((generator.get_state, generator.set_state))
        self._states = [(write, read()) for read, write in pairs]

    def put_back(self):
        """Restore them."""
        for write, state in self._states:
            write(state)


def use_defaults():
    """Set PyTorch's global settings to what they are in a new process, with one thread.

    The networks of the checks are small: with several threads they take longer.
    """
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
        for (read, write), default in zip(_of_torch(torch), _defaults(torch), strict=True):
            if read() != default:
                write(default)


def _settings():
    """Return pairs of functions that read and write one setting each."""
    hooks = "displayhook", "excepthook", "unraisablehook"
    pairs = [
        *(_attribute(sys, name) for name in ("stdin", "stdout", "stderr", *hooks)),
        _attribute(warnings, "showwarning"),
        (sys.getrecursionlimit, sys.setrecursionlimit),
        (sys.gettrace, sys.settrace),
        (sys.getprofile, sys.setprofile),
        (_working_directory, _change_directory),
        (lambda: dict(os.environ), _set_environment),
        (gc.isenabled, lambda enabled: gc.enable() if enabled else gc.disable()),
    ]
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGALRM"):
            if hasattr(signal, name):
                pairs.append(_handler_of(getattr(signal, name)))
    torch = sys.modules.get("torch")
    if torch is not None:
        pairs += [
            *_of_torch(torch),
            (torch.get_num_threads, torch.set_num_threads),
        ]
    return pairs


def _attribute(module, name):
    return lambda: getattr(module, name), lambda value: setattr(module, name, value)


def _handler_of(number):
    def write(handler):
        if handler is not None:  # None: it was not set from Python
            signal.signal(number, handler)

    return lambda: signal.getsignal(number), write


def _working_directory():
    try:
        return os.getcwd()
    except OSError:  # it has been deleted
        return None


def _change_directory(path, chdir=os.chdir):
    if path is not None:
        chdir(path)


def _set_environment(values):
    for name in set(os.environ) - set(values):
        del os.environ[name]
    os.environ.update(values)


def _of_torch(torch):
    """Return (read, write) for each of PyTorch's settings that change results."""
    stack = torch._C

    def function_modes():
        length = stack._len_torch_function_stack()
        return [stack._get_function_stack_at(i) for i in range(length)]

    def set_function_modes(modes):
        while stack._len_torch_function_stack():
            stack._pop_torch_function_stack()
        for mode in modes:
            stack._push_on_torch_function_stack(mode)

    def current_device():
        return getattr(sys.modules.get("torch.utils._device"), "CURRENT_DEVICE", None)

    def set_current_device(device):
        sys.modules["torch.utils._device"].CURRENT_DEVICE = device

    context = torch._GLOBAL_DEVICE_CONTEXT  # of this thread
    return [
        (torch.get_default_dtype, torch.set_default_dtype),
        (torch.is_grad_enabled, torch.set_grad_enabled),
        # The default device is a mode on this stack, and so is `with torch.device(…):`.
        (function_modes, set_function_modes),
        (
            lambda: getattr(context, "device_context", None),
            lambda value: setattr(context, "device_context", value),
        ),
        (current_device, set_current_device),
        (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
        (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
        (
            lambda: torch.is_autocast_enabled("cpu"),
            lambda enabled: torch.set_autocast_enabled("cpu", enabled),
        ),
    ]


def _defaults(torch):
    return [torch.float32, True, [], None, None, 0, "highest", False]
