"""Print what a notebook in the current folder would find; `report` runs this file as a process.

Each finding is one line, so that everything before a crash is preserved.
"""

import importlib
import importlib.util
import json
import os
import sys


def emit(key, value):
    print("\n@" + json.dumps([key, value]), flush=True)


def use_the_path_of_a_kernel():
    """Search the current folder after the standard library, before installed libraries."""
    installed = [folder.endswith(("site-packages", "dist-packages")) for folder in sys.path]
    sys.path.insert(installed.index(True) if any(installed) else 0, "")


def try_library(module):
    """Emit a module's [error or None, version]."""
    emit("trying", module)
    library, error = module.partition(".")[0], None
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as failure:
        error = "missing" if failure.name == library else str(failure)
    except BaseException as failure:
        error = f"{type(failure).__name__}: {failure}"
    emit(module, [error, str(getattr(sys.modules.get(library), "__version__", ""))])


def device():
    import torch

    emit("cuda", torch.version.cuda)
    if torch.cuda.is_available():
        return "cuda, " + torch.cuda.get_device_name()
    return f"CPU, threads: {torch.get_num_threads()}"


def checksums():
    from torchvision.datasets import MNIST

    return dict(MNIST.resources)


def kernel():
    from jupyter_client.kernelspec import KernelSpecManager

    return KernelSpecManager().get_kernel_spec("python3").argv[0]


def own_files(modules):
    """Return {library: file in the current folder that hides it}."""
    used = {name.partition(".")[0] for name in ["nnweek", *sys.modules, *modules]}
    used -= {"__main__", *sys.stdlib_module_names}  # a kernel finds the standard library first
    found = {}
    for entry in sorted(os.listdir()):
        name, ending = os.path.splitext(entry)
        is_package = os.path.isfile(os.path.join(entry, "__init__.py"))
        is_course = name == "nnweek" and is_package  # the current folder is a copy of the course
        if name in used and not is_course and (ending == ".py" or is_package):
            found[name] = os.path.abspath(entry)
    return found


if __name__ == "__main__":
    if sys.path[0] == os.path.dirname(os.path.abspath(__file__)):
        del sys.path[0]
    spec = importlib.util.find_spec("nnweek")  # wherever a notebook is
    emit("nnweek", spec and spec.origin)
    use_the_path_of_a_kernel()
    for module in sys.argv[1:]:
        try_library(module)
    for look in (device, checksums, kernel):
        emit("trying", "the " + look.__name__)
        try:
            emit(look.__name__, look())
        except BaseException:
            emit(look.__name__, None)
    emit("own files", own_files(sys.argv[1:]))
    emit("trying", None)
