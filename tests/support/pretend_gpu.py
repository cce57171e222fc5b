"""A pretended GPU, so that code for one is tried where there is none.

Its tensors say that they are on `cuda:0` and compute on the CPU. As on a real one, operations
that mix the two devices fail, and NumPy cannot read a tensor that was not moved to the CPU.
What it cannot show: other rounding, speed, memory, work that has not finished yet, and a random
generator of the wrong device.
"""

import contextlib
import threading
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

MAY_MIX = {"aten.copy_", "aten._to_copy", "aten.index", "aten.index_put_", "aten.set_"}
NAME = "Pretended GPU"


class OnGPU(torch.Tensor):
    """A tensor of the pretended GPU; `on_cpu` has its numbers."""

    @staticmethod
    def __new__(cls, real):
        return torch.Tensor._make_wrapper_subclass(
            cls, real.size(), strides=real.stride(), storage_offset=real.storage_offset(),
            dtype=real.dtype, layout=real.layout, device="meta",
        )  # fmt: skip  # Autograd would look for a real `cuda:0`.

    def __init__(self, real):
        self.on_cpu = real

    device = property(lambda self: torch.device("cuda:0"))
    is_cuda, is_meta = True, False

    def tolist(self):
        return self.on_cpu.tolist()

    def __reduce_ex__(self, protocol):  # `torch.load` may only make PyTorch's own tensors
        return self.on_cpu.__reduce_ex__(protocol)

    def __format__(self, how):
        return format(self.on_cpu, how)

    def __repr__(self):
        return f"{self.on_cpu!r} on {self.device}"

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return compute(operation, args, kwargs or {})


class Factories(TorchDispatchMode):
    """Make new tensors where they are asked for: also those without a tensor as argument."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        return compute(operation, args, kwargs or {})


def compute(operation, args, kwargs):
    """Compute an operation on the CPU; its results are on the device that a GPU would choose."""
    tensors = []

    def look(value):
        if isinstance(value, torch.Tensor):
            tensors.append(value)
        return value.on_cpu if isinstance(value, OnGPU) else value

    args, kwargs = tree_map(look, (args, kwargs))
    here = [isinstance(value, OnGPU) for value in tensors]
    device = kwargs.get("device")
    name = str(operation).rpartition(".")[0]
    on_gpu = any(here) if device is None else torch.device(device).type in ("cuda", "meta")
    if name == "aten.copy_":
        on_gpu = here[0]
    others = [value for value in tensors if not isinstance(value, OnGPU) and value.dim()]
    if any(here) and others and name not in MAY_MIX:
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, cuda:0 "
            f"and cpu! ({operation})"
        )
    if device is not None:
        kwargs["device"] = torch.device("cpu")
    result = operation(*args, **kwargs)
    if name in ("aten._to_copy", "aten.to") and any(here) != on_gpu:
        result = result.clone()

    def back(value):
        for original, real in zip(tensors, flat, strict=True):
            if value is real:
                return original  # in place
        return OnGPU(value) if on_gpu and isinstance(value, torch.Tensor) else value

    flat = [value.on_cpu if isinstance(value, OnGPU) else value for value in tensors]
    return tree_map(back, result)


class Generator(torch.Generator):
    """A generator for either device, which draws on the CPU."""

    def __new__(cls, device="cpu"):
        return super().__new__(cls)

    def __init__(self, device="cpu"):
        pass


@contextlib.contextmanager
def pretended_gpu():
    """Pretend that this machine has one GPU."""
    torch._C._ensureCUDADeviceGuardSet()
    patches = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "get_device_name": lambda *_: NAME,
        "synchronize": lambda *_: None,
        "_lazy_init": lambda: None,
        "get_rng_state_all": lambda: [torch.get_rng_state()],
        "set_rng_state_all": lambda states: None,
        "max_memory_allocated": lambda *_: 0,
        "manual_seed_all": lambda *_: None,
    }
    with contextlib.ExitStack() as stack:
        for name, value in patches.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, value))
        stack.enter_context(mock.patch.object(torch, "Generator", Generator))
        stack.callback(torch._C._set_only_lift_cpu_tensors, torch._C._only_lift_cpu_tensors())
        torch._C._set_only_lift_cpu_tensors(True)  # `torch.tensor` moves what it made on the CPU
        run = threading.Thread.run

        def run_with_gpu(thread):
            with Factories():  # a mode holds only in the thread that enters it
                run(thread)

        stack.enter_context(mock.patch.object(threading.Thread, "run", run_with_gpu))
        overwrite = torch.__future__.get_overwrite_module_params_on_conversion()
        stack.callback(torch.__future__.set_overwrite_module_params_on_conversion, overwrite)
        torch.__future__.set_overwrite_module_params_on_conversion(True)  # in `module.to`
        stack.enter_context(Factories())
        yield torch.device("cuda")
