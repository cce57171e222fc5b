"""Say in one sentence what a beginner's exception means (Day 29).

`meaning` looks an exception up in a table of patterns. A sentence holds for every exception that
its pattern matches; what is only likely is put as a question. Shapes and names come from the
exception's own message. A message without a pattern gets no sentence: it can speak for itself.
"""

import difflib
import re
import sys

import numpy as np

# Exceptions that say something about the code, whatever the numbers are.
_PROGRAMMING = (
    AssertionError, AttributeError, ImportError, LookupError, NameError, RecursionError, SyntaxError,
    TypeError,
)  # fmt: skip

_IMPORTS = {
    "np": "import numpy as np",
    "numpy": "import numpy",
    "math": "import math",
    "torch": "import torch",
    "nn": "from torch import nn",
    "F": "import torch.nn.functional as F",
    "plt": "import matplotlib.pyplot as plt",
    "random": "import random",
}


def is_numerical(error):
    """Return whether other numbers might not have caused this exception."""
    return not isinstance(error, _PROGRAMMING) or "UFunc" in type(error).__name__


def meaning(error, line="", variables=None):
    """Return a sentence on what the exception means, or "".

    Args:
        error: the exception.
        line: the line of the learner's code in which it happened.
        variables: the local variables there, {name: value}.
    """
    place = _Place(line, variables)
    message = " ".join(str(error).split())
    for type_, pattern, sentence in _TABLE:
        found = isinstance(error, type_) and re.search(pattern, message)
        if found:
            sentence = sentence(found, error, place) if callable(sentence) else sentence
            if sentence:
                return sentence.format(*found.groups())
    return ""


class _Place:
    """Where an exception happened: a line, and the variables that it names."""

    def __init__(self, line, variables):
        self.line = line
        names = dict.fromkeys(re.findall(r"[A-Za-z_]\w*", line))
        self.variables = {name: variables[name] for name in names if name in (variables or {})}
        self.all = variables

    def has(self, pattern):
        return re.search(pattern, self.line)

    def list_of_arrays(self):
        """Return the name of the first list of arrays, or None."""
        for name, value in self.variables.items():
            if type(value) in (list, tuple) and any(isinstance(v, np.ndarray) for v in value):
                return name
        return None

    def integers(self, everywhere=False):
        """Return the arrays of whole numbers, such as labels, that the line or the function has."""
        values = (self.all or {}) if everywhere else self.variables
        arrays = (v for v in values.values() if isinstance(v, np.ndarray) and v.size)
        return [array for array in arrays if array.dtype.kind in "iu"]


def _shape(text):
    return tuple(int(size) for size in re.findall(r"\d+", text))


def _written(shape):
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def _broadcast(found, error, place):
    """Explain two shapes that cannot be broadcast, and name one that would fit."""
    shapes = [_shape(text) for text in re.findall(r"\([\d,]*\)", found.group(1))]
    if len(shapes) == 3 and shapes[2] == shapes[0]:  # in place: the third is the left side
        shapes.pop()
    if len(shapes) != 2:
        return "Shapes are compared from the right: two sizes must be equal, or one of them 1."
    name = place.has(r"^(\w+) *\+=")
    if name and isinstance(place.variables.get(name.group(1)), list):
        return f"`{name.group(1)}` is a list, and `+=` with an array adds to its entries. Use `append`."
    (a, b), axes = shapes, range(1, min(map(len, shapes)) + 1)
    if len(a) == len(b) == 2 and a[1] == b[0] and place.has(r"[\w\])] *\*(?!\*) *[\w(]"):
        return "`*` works entry by entry; the matrix product is `@`."
    sizes = next((a[-i], b[-i]) for i in axes if a[-i] != b[-i] and 1 not in (a[-i], b[-i]))
    large, small = sorted(shapes, key=len, reverse=True)
    text = (
        f"Shapes are compared from the right, and the sizes {sizes[0]} and {sizes[1]} are neither "
        "equal nor 1."
    )
    if len(small) < len(large) and small == large[: len(small)]:
        fits = small + (1,) * (len(large) - len(small))
        text += (
            f" To fit {_written(large)}, the shape must be {_written(fits)}, not {_written(small)}"
        )
        arrays = [v for v in place.variables.values() if isinstance(v, np.ndarray)]
        kinds = [array.dtype.kind for array in arrays if array.shape == small]
        if "i" not in kinds and place.has(r"\b(sum|a?max|a?min|mean|norm|prod|std|var)\("):
            text += ": after a sum, mean or maximum, `keepdims=True` keeps it"
        elif "f" in kinds:
            text += ". If it is a sum, mean or maximum, `keepdims=True` keeps it"
        text += "."
    elif large == small[::-1]:
        text += " Is one of the two transposed?"
    elif large[:-1] == small[:-1]:
        counted = [labels.max() + 1 for labels in place.integers(everywhere=True)]
        if place.all is None or min(sizes) in counted:
            text += (
                " If these are classes: did you count them in the labels? `y.max() + 1` is too small "
                "if the last class is missing."
            )
    return text


def _name(found, error, place):
    name = found.group(1)
    if name in _IMPORTS:
        return f"The name `{name}` comes from `{_IMPORTS[name]}`. Has that line been run?"
    return "Nothing named `{0}` exists when this line runs. Is it spelled the same where you define it?"


_OF_A_GENERATOR = {"randn": "standard_normal", "rand": "random", "randint": "integers"}


def _attribute(found, error, place):
    """Explain a missing attribute, with the names that are spelled alike."""
    name, owner = found.group(2), found.group(1)
    if owner in ("list", "tuple") and name in (
        "shape",
        "T",
        "sum",
        "mean",
        "astype",
        "dot",
        "ndim",
    ):
        return "A {0} is not an array and has no `{1}`: `np.array(…)` makes an array of it."
    if owner in ("float", "int") and name in ("backward", "item", "detach", "shape", "mean", "sum"):
        return "This is a plain number, which has no `{1}`: what turned it into one, `.item()`?"
    torch = sys.modules.get("torch")
    if owner == "numpy.ndarray" and hasattr(getattr(torch, "Tensor", None), name):
        return "This is a NumPy array, and `{1}` belongs to PyTorch's tensors."
    if owner.endswith(".Generator") and name in _OF_A_GENERATOR:
        return f"There is no `{name}` here. Did you mean `{_OF_A_GENERATOR[name]}`?"
    try:
        names = [known for known in dir(error.obj) if not known.startswith("_")]
    except Exception:
        return ""
    close = difflib.get_close_matches(name, names, n=1)
    return f"There is no `{name}` here. Did you mean `{close[0]}`?" if close else ""


def _ambiguous(found, error, place):
    if place.has(r"\bCrossEntropyLoss\(\s*[^)=\s]"):
        return (
            "`nn.CrossEntropyLoss(…)` only makes a criterion; its first argument is a weight per "
            "class. Call the criterion that it returns with the scores and the labels."
        )
    return (
        "`if`, `while`, `and`, `or`, `not`, `min` and `max` need one True or False, but this is "
        "one per entry. Do you want `np.where`, `np.maximum` or a mask?"
    )


def _out_of_bounds(found, error, place):
    index, axis, size = map(int, found.groups())
    if index < 0 or not size:
        return f"Axis {axis} has {_entries(size)}, and {index} is not the index of one of them."
    text = (
        f"Axis {axis} has {_entries(size)}, with the indices 0 to {size - 1}, and {index} is not "
        "one of them."
    )
    if any(index in array for array in place.integers()):
        text += (
            " If it is a label: is there a column for every class, or only for as many as `y` "
            "happens to contain? `y.max() + 1` is too small if the last class is missing."
        )
    elif place.has(r"\[\s*\w+\s*,\s*(np\.arange|range)\("):
        text += " Rows come first, as in `a[row, column]`: are the two in the wrong order?"
    return text


def _entries(count):
    return f"{count} entr{'y' if count == 1 else 'ies'}"


def _index_arrays(found, error, place):
    counts = [_shape(text) for text in re.findall(r"\([\d,]*\)", found.group(1))]
    if [len(shape) for shape in counts] != [1, 1]:
        return "Index arrays that are used together must have the same shape, or shapes that broadcast."
    rows = place.has(r"range\(([A-Za-z_]\w*)\)")
    question = f" Is `{rows.group(1)}` the number of rows?" if rows else ""
    return (
        f"The two index arrays have {counts[0][0]} and {counts[1][0]} entries, and must have equally "
        f"many.{question}"
    )


def _array_as_index(found, error, place):
    call = place.has(r"\bnp\.a?(max|min)\([^,()]+,\s*(\w+)\s*\)")
    if call:
        name, second = call.groups()
        return (
            f"`np.{name}` takes `{second}` for the axis; `np.{name}imum` compares entry by entry."
        )
    return "An array is given where one whole number is needed, such as an axis or the index of a list."


def _list_arithmetic(found, error, place):
    name = place.list_of_arrays()
    if name:
        return f"`{name}` is a list of arrays, with which Python does no arithmetic: go through it in a loop."
    if "multiply sequence" in found.group():
        return (
            "`*` repeats a list, a tuple or a text, which a float cannot do. To multiply the entries of "
            "a list, make it an array: `np.array(…)`."
        )
    return (
        "Python does no arithmetic with the entries of a list, tuple or dictionary. Make it an "
        "array with `np.array(…)`, or take the entry that you need."
    )


def _sequence(found, error, place):
    name = place.list_of_arrays()
    if name and len({np.shape(item) for item in place.variables[name]}) > 1:
        return (
            f"`{name}` is a list of arrays of different shapes, which cannot form one array: go "
            "through it in a loop."
        )
    return (
        "One entry of an array holds one number, and this would put several there, or the rows "
        "that should form an array have different lengths."
    )


def _size(found, error, place):
    """Explain sizes that were passed one by one, such as `rng.normal(0, 1, 3, 4)`."""
    call = place.has(
        r"\b(standard_normal|random|normal|uniform|zeros|ones|empty)\((?:([\w\s,.]+)\))?"
    )
    if not call:
        return ""
    function, arguments = call.groups()
    arguments = [each.strip() for each in (arguments or "").split(",")]
    sizes = arguments[2:] if function in ("normal", "uniform") else arguments
    if len(sizes) < 2:  # there is a call in the call: the sizes may be its last two arguments
        last = place.has(r", *([a-z]\w*), *([a-z]\w*)\)")
        sizes = last.groups() if last else ("rows", "columns")
    size = f"({', '.join(sizes)})"
    if function in ("zeros", "ones", "empty"):
        return f"The shape is one argument: `{size}`."
    return f"The size is one argument: `size={size}`."


def _unexpected_argument(found, error, place):
    function, name = found.group(1).lstrip("_"), found.group(2)
    meant = {"keepdim": "keepdims", "dim": "axis", "shape": "size"}.get(name)
    owners = (np.random.Generator,) if meant == "size" else (np, np.ndarray)
    text = f"`{function}` has no argument named `{name}`"
    if meant and any(hasattr(owner, function) for owner in owners):
        return f"{text}; did you mean `{meant}`?"
    return f"{text}. Which arguments does its `def` line or its documentation name?"


def _too_many_arguments(found, error, place):
    function, names, passed = found.groups()
    return (
        f"The call of `{function}` passes {passed} argument{'' if passed == '1' else 's'}, and its "
        f"`def` line names {names}. In a class, the first name of a method is `self`, for which "
        "Python passes the object."
    )


def _too_many_values(found, error, place):
    pair = place.has(r"\bin \((\w+), *(\w+)\)")
    if pair:
        return f"This loop goes through two items: first `{pair.group(1)}`, then `{pair.group(2)}`. Do you want `zip(…)`?"
    return (
        "There are {0} names on the left, and more values than that on the right. What does the "
        "right side return?"
    )


def _beyond_the_end(found, error, place):
    axis = place.has(r"\.shape\[(\d+)\]")
    if axis and "tuple" in found.group():
        return f"`shape` has one entry per axis, and this array has no axis {axis.group(1)}."
    return "The index is at least as large as the length: a list of n items has the indices 0 to n − 1."


def _not_implemented(found, error, place):
    operation, dtype = found.groups()
    if "softmax" in operation or "nll" in operation or "cross_entropy" in operation:
        return (
            "A loss on class scores takes the scores first, as floating-point numbers, and then the "
            f"labels, as whole numbers (Long). One of the two is {dtype}. Are they swapped?"
        )
    return f"PyTorch has no such operation on {dtype} tensors. Should it be `.float()` first?"


_SIZES = r"\(?(\d+)x(\d+) and (\d+)x(\d+)\)?"
_CORE = r"core dimension \d.*size (\d+) is different from (\d+)"
_PLAIN = "float|int|bool|numpy\\.float64|numpy\\.float32|numpy\\.int64"
_FUNCTION = "numpy\\.ufunc|builtin_function_or_method|method|function|method_descriptor"

# (type, pattern in the message, sentence): the first that matches counts. In a sentence, {0} is
# the pattern's first group.
_TABLE = (
    # NumPy: shapes
    (ValueError, r"broadcast together with shapes ([\d(), ]+)", _broadcast),
    (
        ValueError,
        r"non-broadcastable output operand with shape (\(.*?\)) doesn't match the broadcast shape (\(.*?\))",
        "An in-place operation such as `+=` cannot change the shape of its left side: it is {0}, "
        "and the result would be {1}.",
    ),
    (
        ValueError,
        r"could not broadcast input array from shape (\(.*?\)) into shape (\(.*?\))",
        "What stands on the left of `=` has room for the shape {1}, but the right side has {0}.",
    ),
    (
        ValueError,
        _CORE,
        "In `A @ B`, A needs as many columns as B has rows (for a vector, its length counts); here A has "
        "{1} and B has {0}. Is one of the two transposed, or in the wrong place?",
    ),
    (
        ValueError,
        r"shapes (\(.*?\)) and (\(.*?\)) not aligned: (\d+) \(dim \d\) != (\d+)",
        "In a product of {0} and {1}, the sizes {2} and {3} meet and must be equal. Is one of the "
        "two transposed, or in the wrong place?",
    ),
    (
        ValueError,
        r"matmul: Input operand (\d) does not have enough dimensions",
        "`@` multiplies matrices and vectors, and one of the two is a single number: use `*`.",
    ),
    (ValueError, r"setting an array element with a sequence", _sequence),
    (
        (ValueError, TypeError),
        r"boolean array indexing assignment",
        "The mask on the left picks some of the entries, and the right side does not have as many: "
        "pick the same ones there.",
    ),
    (
        ValueError,
        r"cannot reshape array of size (\d+) into shape (\(.*\))",
        "{0} numbers do not fill the shape {1}: the product of its sizes must be {0}.",
    ),
    (
        ValueError,
        r"(?:input array|array) dimensions .*(?:concatenation axis|must match)",
        "Arrays that are joined must agree in all sizes except along the axis where they meet.",
    ),
    (
        ValueError,
        r"read-only",
        "This array must not be written into. Work on a copy: `.copy()`.",
    ),
    (ValueError, r"truth value of an array with more than one element", _ambiguous),
    # NumPy: indices and types
    (IndexError, r"index (-?\d+) is out of bounds for (?:axis|dimension) (\d+) with size (\d+)", _out_of_bounds),
    (
        IndexError,
        r"indexing arrays could not be broadcast together with shapes ([\d(), ]+)",
        _index_arrays,
    ),
    (TypeError, r"only integer scalar arrays can be converted to a scalar index", _array_as_index),
    (
        TypeError,
        r"Cannot interpret '\d+' as a data type|takes at most \d+ positional arguments?",
        _size,
    ),
    (
        IndexError,
        r"too many indices for array: array is (\d+)-dimensional, but (\d+) were indexed",
        "Every index needs an axis of its own. What is the shape of this array?",
    ),
    (
        IndexError,
        r"too many indices for tensor of dimension (\d+)",
        "Every index needs a dimension of its own. What is the shape of this tensor?",
    ),
    (
        IndexError,
        r"axis (-?\d+) is out of bounds for array of dimension (\d+)",
        "A {1}-dimensional array has no axis {0}: axes are counted from 0. What is its shape here?",
    ),
    (
        IndexError,
        r"Dimension out of range .*but got (-?\d+)",
        "This tensor has no dimension {0}: dimensions are counted from 0. What is its shape here?",
    ),
    (
        IndexError,
        r"only integers, slices .* are valid indices|arrays used as indices must be of integer",
        "An index must be a whole number. A float, even 2.0, is none: `/` always gives floats and "
        "`//` whole numbers, and `.astype(int)` converts an array.",
    ),
    (IndexError, r"invalid index to scalar variable", "This is a single number, which has no entries."),
    (
        IndexError,
        r"tensors used as indices must be",
        "Tensors of floats cannot be indices: convert them with `.long()`.",
    ),
    (
        IndexError,
        r"Target (-?\d+) is out of bounds",
        "The label {0} has no column in the scores: labels go from 0 to the number of classes − 1.",
    ),
    (IndexError, r"(?:list|tuple|string) index out of range", _beyond_the_end),
    (
        TypeError,
        r"(list|tuple) indices must be integers or slices, not tuple",
        "A nested {0} is indexed step by step, as in `a[i][j]`. Only an array allows `a[i, j]`.",
    ),
    (
        TypeError,
        r"(list|tuple|range|string) indices must be integers(?: or slices)?, not '?(\w+)",
        "An index must be a whole number, and this one is a `{1}`.",
    ),
    (
        TypeError,
        r"Cannot cast ufunc '(\w+)' output from dtype\('(\w+)'\) to dtype\('(\w+)'\)",
        "An in-place operation such as `-=` writes its result, of type {1}, into an array of type "
        "{2}, which cannot hold it. Work on a copy that can: `.astype(float)`.",
    ),
    (
        TypeError,
        r"only (?:length-1|size-1|0-dimensional) arrays can be converted",
        "A single number was needed, and this is an array. The functions of `math` take only "
        "numbers; NumPy has the same ones for arrays, such as `np.sqrt` and `np.exp`.",
    ),
    # PyTorch: shapes
    (
        RuntimeError,
        r"mat1 and mat2 shapes cannot be multiplied " + _SIZES,
        "In a product, the columns of the first ({1}) and the rows of the second ({2}) must be equal. "
        "If this is an `nn.Linear`, it was made for {2} inputs and got {1}.",
    ),
    (
        RuntimeError,
        r"size mismatch, got input \(\d+\), mat \(\d+x(\d+)\), vec \((\d+)\)",
        "In a product of a matrix and a vector, the columns ({0}) and the entries ({1}) must be equal.",
    ),
    (
        RuntimeError,
        r"size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\) at non-singleton dimension (\d+)",
        "Shapes are compared from the right. In dimension {2} the sizes {0} and {1} are neither "
        "equal nor 1. What are the shapes of the two tensors?",
    ),
    (
        RuntimeError,
        r"shape '(\[.*?\])' is invalid for input of size (\d+)",
        "{1} numbers do not fill the shape {0}: the product of its sizes must be {1}.",
    ),
    (
        RuntimeError,
        r"view size is not compatible",
        "`view` cannot be used on this tensor, for example after a transpose: use `reshape`.",
    ),
    (
        ValueError,
        r"Expected input batch_size \((\d+)\) to match target batch_size \((\d+)\)",
        "There are {0} rows of scores and {1} labels, and each row needs one label. Are both from "
        "the same batch, and what are their shapes?",
    ),
    (
        RuntimeError,
        r"multi-target not supported|0D or 1D target tensor expected",
        "The labels should be one whole number per example, of shape (N,), not a matrix.",
    ),
    # PyTorch: types
    (
        RuntimeError,
        r"expected (?:scalar type|target dtype to be) Long.*,? but (?:found|got) (\w+)",
        "Labels and indices must be whole numbers of type Long, and these are {0}: `.long()` "
        "converts them. Are the arguments in the right order?",
    ),
    (
        RuntimeError,
        r"(?:same dtype, but got:?|expected scalar type) (\w+) (?:and|!=|but found) (\w+)",
        "The two tensors have different types, {0} and {1}. NumPy's floats are double, PyTorch's "
        "weights are float: convert one of the two, for example with `.float()`.",
    ),
    (
        RuntimeError,
        r"Found dtype (\w+) but expected (\w+)",
        "A tensor of type {0} met one of type {1}: convert it, for example with `.float()`.",
    ),
    ((RuntimeError, NotImplementedError), r"\"(\w+)\" not implemented for '(\w+)'", _not_implemented),
    (
        RuntimeError,
        r"Expected floating point type for target with class probabilities",
        "The second argument has the shape of scores, so it was taken for probabilities, but it "
        "holds whole numbers. The scores come first, then the labels, of shape (N,).",
    ),
    (
        RuntimeError,
        r"result type (\w+) can't be cast to the desired output type (\w+)",
        "An in-place operation writes numbers of type {0} into a tensor of type {1}, which cannot "
        "hold them. Convert it first: `.float()`.",
    ),
    (
        RuntimeError,
        r"Only Tensors of floating point.* can require gradients",
        "Only floating-point tensors have gradients: write `1.0` instead of `1`, or use `.float()`.",
    ),
    (
        TypeError,
        r"argument '?(\w+)'? \(position (\d+)\) must be Tensor, not (numpy\.ndarray|ndarray|list|float|int)",
        "PyTorch's functions need tensors, and argument {1} is a `{2}`: `torch.as_tensor(…)` "
        "converts it.",
    ),
    (
        RuntimeError,
        r"Expected all tensors to be on the same device",
        "Some tensors are on the CPU and others on the GPU. Move the data to the model's device "
        "with `.to(device)`.",
    ),
    (RuntimeError, r"Boolean value of Tensor with more than one value", _ambiguous),
    (
        (RuntimeError, ValueError),
        r"Tensor with (\d+) elements cannot be converted to Scalar",
        "A single number was needed, and this tensor has {0}: is a `.mean()` or `.sum()` missing?",
    ),
    (
        (RuntimeError, ValueError, TypeError),
        r"only one element tensors can be converted",
        "A single number was needed, and this tensor has several. The functions of `math` take only "
        "numbers; PyTorch has the same ones for tensors.",
    ),
    # PyTorch: autograd and modules
    (
        RuntimeError,
        r"does not require grad and does not have a grad_fn",
        "There is no graph to go back through: `backward()` needs a loss that was computed from "
        "parameters, while autograd recorded. Is there a `no_grad`, `detach()`, `.item()` or "
        "`torch.tensor(…)` on the way?",
    ),
    (
        RuntimeError,
        r"backward through the graph a second time",
        "The first `backward()` frees the graph. Compute the loss again from the scores before the "
        "next one; is there something from an earlier step in it?",
    ),
    (
        RuntimeError,
        r"Can't call numpy\(\) on Tensor that requires grad",
        "This tensor is part of a graph, which NumPy cannot follow. Use `.item()` for one number and "
        "`.detach()` for an array.",
    ),
    (
        RuntimeError,
        r"leaf Variable that requires grad is being used in an in-place operation",
        "A parameter may not be changed in place while autograd records: put the update into "
        "`with torch.no_grad():`.",
    ),
    (
        RuntimeError,
        r"modified by an inplace operation",
        "A tensor that `backward()` still needs was changed in place, for example by `+=` or "
        "`x[…] = …`, or by an optimizer's step. Make a new tensor instead, or step afterwards.",
    ),
    (
        RuntimeError,
        r"grad can be implicitly created only for scalar outputs",
        "`backward()` starts from a single number: is a `.mean()` or `.sum()` missing?",
    ),
    (
        AttributeError,
        r"cannot assign \w+ before Module\.__init__\(\) call",
        "The first line of your class's `__init__` must be `super().__init__()`.",
    ),
    (
        ValueError,
        r"optimizer got an empty parameter list",
        "The model has no parameters that PyTorch can see: are its layers attributes of the module?",
    ),
    # Python: names, calls and types
    (
        UnboundLocalError,
        r"variable '(\w+)'",
        "Your function assigns to `{0}`, so `{0}` is its own variable, and here it has no value yet. "
        "Is a start value missing before a loop, or did no branch set it?",
    ),
    (NameError, r"name '(\w+)' is not defined", _name),
    (
        (TypeError, AttributeError),
        r"NoneType",
        "Something here is None. Does a function of yours lack a `return`? Methods that work in "
        "place, such as `append` and `sort`, return None too, and `.grad` is None before `backward()`.",
    ),
    (
        TypeError,
        rf"'(?:{_FUNCTION})'",
        "A function itself stands here, where its result is needed: call it with (…).",
    ),
    (
        AttributeError,
        rf"'(?:{_FUNCTION})' object has no attribute",
        "A function itself stands here, where its result is needed: call it with (…).",
    ),
    (
        TypeError,
        r"'module' object is not callable",
        "This is the name of a module. The function is inside it: `module.function(…)`.",
    ),
    (
        TypeError,
        r"'[\w.]+\.Generator' object is not callable",
        "This is a random number generator, not a function. Its methods draw numbers, such as "
        "`rng.standard_normal(size=…)`.",
    ),
    (
        TypeError,
        r"'([\w.]+)' object is not callable",
        "A `{0}` is called like a function. Is a `*` missing before the bracket, are there brackets "
        "() instead of [], or has a variable taken the name of a function?",
    ),
    (AttributeError, r"'([\w.]+)' object has no attribute '(\w+)'", _attribute),
    (AttributeError, r"module '([\w.]+)' has no attribute '(\w+)'", _attribute),
    (
        TypeError,
        r"(\w+)\(\) missing (\d+) required positional arguments?: (.+)",
        "The call of `{0}` and its `def` line disagree: nothing was passed for {2}.",
    ),
    (
        TypeError,
        r"(\w+)\(\) takes (\d+) positional arguments? but (\d+) (?:was|were) given",
        _too_many_arguments,
    ),
    (TypeError, r"(\w+)\(\) got an unexpected keyword argument '(\w+)'", _unexpected_argument),
    (TypeError, r"can't multiply sequence by non-int", _list_arithmetic),
    (
        TypeError,
        r"(?:operand type\(s\) for|unary) .*'(?:list|tuple|dict)'|can only concatenate (?:list|tuple) ",
        _list_arithmetic,
    ),
    (
        TypeError,
        rf"'({_PLAIN})' object is not iterable|cannot unpack non-iterable ({_PLAIN}) object",
        "This is a single number, and there is nothing to loop over or to unpack. Do you want "
        "`range(…)`, or is the value not the one you think?",
    ),
    (
        TypeError,
        rf"'({_PLAIN})' object (?:is not subscriptable|does not support item assignment)",
        "This is a single number, which has no entries.",
    ),
    (
        TypeError,
        r"'tuple' object does not support item assignment",
        "The entries of a tuple cannot be changed. Make it a list first: `list(…)`.",
    ),
    (ValueError, r"too many values to unpack \(expected (\d+)", _too_many_values),
    (
        ValueError,
        r"not enough values to unpack \(expected (?:at least )?(\d+), got (\d+)\)",
        "There are {0} names on the left, and only {1} on the right. What does the right side "
        "return?",
    ),
    (
        KeyError,
        r"(.+)",
        "There is no key {0} here. How are the keys spelled, and have they all been set?",
    ),
    (
        ZeroDivisionError,
        r".*",
        "The divisor is 0. Is it a count that was never increased, or the length of something "
        "empty?",
    ),
    (
        OverflowError,
        r"math range error|Result too large",
        "The result does not fit into a float: exp(710) is already too large.",
    ),
    (
        ValueError,
        r"math domain error|expected a (?:positive|nonnegative) input",
        "The function has no value there, such as the logarithm of 0 or the root of a negative "
        "number.",
    ),
    (
        ModuleNotFoundError,
        r"No module named '([\w.]+)'",
        "Python finds no module `{0}`. Is it spelled right? The exercises need only NumPy and PyTorch.",
    ),
    (
        RecursionError,
        r"",
        "A function calls itself without end. Does it have the name of the one that it should call?",
    ),
)  # fmt: skip
