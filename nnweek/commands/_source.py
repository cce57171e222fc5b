"""Turn functions of this package into programs that run on their own; `catalogue` writes them.

A program contains the definitions that a function uses, copied from this package, and the
imports of everything else. Source files are read and not imported, so solutions that need PyTorch
can be copied without it.
"""

import ast
import builtins
import copy
import functools
import importlib.util
import math
import symtable
import sys
import textwrap
from pathlib import Path

import numpy as np

PACKAGE = __name__.partition(".")[0]


class NotASource(ValueError):
    """A value that cannot be written as source code."""


class Program:
    """A growing program. The order of its definitions is that in which Python needs them."""

    def __init__(self):
        self._imports = set()
        self._definitions = {}  # name: (module, source)
        self._open = set()  # the names whose definitions are being added

    def record(self, name, *last):
        """Return {"source", "name", "requires"}: the program and the libraries that it imports.

        Args:
            name: the name that the program is about.
            last: source code to put at the end.
        """
        sources = [source for _, source in self._definitions.values()]
        source = "\n\n\n".join(["\n".join(sorted(self._imports)), *sources, *last]).strip() + "\n"
        modules = set()
        for node in ast.walk(ast.parse(source)):  # functions may import, too
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                modules.add(node.module)
        libraries = {module.partition(".")[0] for module in modules} - sys.stdlib_module_names
        return {"source": source, "name": name, "requires": sorted(libraries)}

    def use(self, module, name):
        """Make a name available that a module of this package defines or imports."""
        statement = definitions(module).get(name)
        if statement is None:
            if hasattr(builtins, name):
                return
            raise NotASource(f"{module} does not define {name} at its top level")
        if isinstance(statement, ast.Import):
            self._imports.add(ast.unparse(statement))
        elif isinstance(statement, ast.ImportFrom):
            origin = statement.module
            inside = origin.partition(".")[0] == PACKAGE
            (alias,) = statement.names
            if not inside or _file(f"{origin}.{alias.name}"):  # another library, or a module
                self._imports.add(ast.unparse(statement))
                return
            self.use(origin, alias.name)
            if alias.asname:
                self.define(module, name, f"{name} = {alias.name}", uses=())
        elif right := _right_answer(statement):
            self.define(module, name, f"class {name}:\n    right = staticmethod({right})")
        else:
            self.define(module, name, source_of(module, statement))

    def define(self, module, name, source, uses=None):
        """Add a definition, and before it what it uses from its module."""
        if name in self._definitions:
            if self._definitions[name] != (module, source):
                raise NotASource(f"{name} is defined twice")
            return
        if name in self._open:  # a function that calls itself, or two that call each other
            return
        self._open.add(name)
        for used in sorted(global_names(source) - {name}) if uses is None else uses:
            self.use(module, used)
        self._definitions[name] = module, source

    def expression(self, value):
        """Return an expression for a value; what it uses is added to the program."""
        if value is None or isinstance(value, (bool, int, str)):
            return repr(value)
        if isinstance(value, float):
            return repr(value) if math.isfinite(value) else f'float("{value}")'
        if isinstance(value, (list, tuple)):
            inside = ", ".join(map(self.expression, value))
            comma = "," if len(value) == 1 else ""
            return f"[{inside}]" if isinstance(value, list) else f"({inside}{comma})"
        if isinstance(value, dict):
            items = (f"{self.expression(k)}: {self.expression(v)}" for k, v in value.items())
            return f"{{{', '.join(items)}}}"
        if isinstance(value, np.ndarray):
            self._imports.add("import numpy as np")
            return f"np.array({self.expression(value.tolist())}, dtype={value.dtype.name!r})"
        if isinstance(value, functools.partial):
            self._imports.add("import functools")
            given = [self.expression(item) for item in (value.func, *value.args)]
            named = [f"{name}={self.expression(item)}" for name, item in value.keywords.items()]
            return f"functools.partial({', '.join(given + named)})"
        if callable(value):
            return self._function(value)
        raise NotASource(f"a {type(value).__name__} is not written as source code")

    def _function(self, function):
        if not hasattr(function, "__code__"):
            return self._of_library(function)
        module = function.__module__
        if module.partition(".")[0] != PACKAGE:
            return self._of_library(function)
        for name in definitions(module):
            if vars(sys.modules[module]).get(name) is function:
                self.use(module, name)
                return name
        source = self._nested_source(function)
        is_lambda = function.__name__ == "<lambda>"
        if not function.__closure__:
            if is_lambda:
                for used in sorted(global_names(source)):
                    self.use(module, used)
                return f"({source})"
            self.define(module, function.__name__, source)
            return function.__name__
        # A function that remembers values of the function around it: write that one again.
        names = function.__code__.co_freevars
        values = [self.expression(cell.cell_contents) for cell in function.__closure__]
        maker = f"make_{function.__name__.strip('<>')}_{len(self._definitions)}"
        result = source if is_lambda else function.__name__
        body = "" if is_lambda else textwrap.indent(source, "    ") + "\n\n"
        self.define(module, maker, f"def {maker}({', '.join(names)}):\n{body}    return {result}")
        return f"{maker}({', '.join(values)})"

    def _nested_source(self, function):
        """Return the source of a lambda, or of a function that is defined in another one."""
        node = nested_node(function)
        given = function.__defaults__ or ()
        if not given and not isinstance(node, ast.Lambda):
            return source_of(function.__module__, node)
        node = copy.deepcopy(node)  # with the values of its defaults instead of their names
        node.args.defaults = [ast.parse(self.expression(v), mode="eval").body for v in given]
        return ast.unparse(node)

    def _of_library(self, function):
        name = getattr(function, "__name__", "")
        for prefix, place in (("", builtins), ("np.", np), ("np.linalg.", np.linalg)):
            if name and getattr(place, name, None) is function:
                if prefix:
                    self._imports.add("import numpy as np")
                return prefix + name
        raise NotASource(f"{function!r} is not a function of this package, of Python or of NumPy")


def program(value, name):
    """Return {"source", "name", "requires"}: a program that defines a value under a name.

    If the value cannot be written as source code, the result is None.
    """
    made = Program()
    try:
        expression = made.expression(value)
    except NotASource:
        return None
    if expression == name:
        return made.record(name)
    return made.record(name, f"{name} = {expression}")


def function_program(module, name, replace=None):
    """Return the program of a function, as `program` does; it need not be imported.

    Args:
        replace: (old, new), a part of the function's source and what to write in its place.
    """
    statement = definitions(module)[name]
    source = source_of(module, statement)
    if replace:
        source = source.replace(*replace)
    made = Program()
    made.define(module, statement.name, source)
    return made.record(statement.name)


@functools.cache
def _file(module):
    """Return the path of a module of this package, or None if there is no such module."""
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # the parent is a module and not a package
        return None
    return Path(found.origin) if found else None


@functools.cache
def _text(module):
    return _file(module).read_text(encoding="utf-8")


@functools.cache
def _lines(module):
    return _text(module).splitlines()


@functools.cache
def _tree(module):
    return ast.parse(_text(module))


@functools.cache
def _functions(module):
    """Return {line: the functions and lambdas that begin there}."""
    found = {}
    for node in ast.walk(_tree(module)):
        if isinstance(node, (ast.Lambda, ast.FunctionDef)):
            found.setdefault(_first_line(node), []).append(node)
    return found


@functools.cache
def definitions(module):
    """Return {name: statement} of what a module defines or imports at its top level."""
    found = {}
    for statement in _tree(module).body:
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            found[statement.name] = statement
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            for alias in statement.names:
                one = type(statement)(**{**vars(statement), "names": [alias]})
                found[alias.asname or alias.name.partition(".")[0]] = one
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for node in (node for target in targets for node in ast.walk(target)):
                if isinstance(node, ast.Name):
                    found[node.id] = statement
    return found


def aliased(module, name):
    """Return the name of the function that `name` is another name of, as in `name = function`."""
    statement = definitions(module).get(name)
    if isinstance(statement, ast.Assign):
        target, value = statement.targets[0], statement.value
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            pairs = {t.id: v for t, v in zip(target.elts, value.elts, strict=True)}
            value = pairs[name]
        return value.id if isinstance(value, ast.Name) else None
    return name if isinstance(statement, ast.FunctionDef) else None


def source_of(module, statement):
    """Return the source of a statement with its decorators, without its indentation."""
    lines = _lines(module)[_first_line(statement) - 1 : statement.end_lineno]
    return textwrap.dedent("\n".join(lines))


def _first_line(node):
    return min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])


def nested_node(function):
    """Return the syntax tree of a lambda, or of a function that is defined in another one."""
    module, code = function.__module__, function.__code__
    kind = ast.Lambda if function.__name__ == "<lambda>" else ast.FunctionDef
    found = {}
    for node in _functions(module).get(code.co_firstlineno, ()):
        if isinstance(node, kind) and _contains(node, code):
            found.setdefault(ast.unparse(node), node)
    if len(found) != 1:
        raise NotASource(f"{len(found)} functions begin at line {code.co_firstlineno} of {module}")
    return next(iter(found.values()))


def _contains(node, code):
    """Return whether the code lies inside the node, as far as this Python knows (from 3.11 on)."""
    positions = getattr(code, "co_positions", tuple)()
    places = [(line, column) for line, _, column, _ in positions if column]
    start = node.lineno, node.col_offset
    end = node.end_lineno, node.end_col_offset
    return all(start <= place < end for place in places)


@functools.cache
def global_names(source):
    """Return the names that a piece of source uses and does not define itself."""

    def used(table):
        inner = set().union(*map(used, table.get_children()))
        if table.get_type() == "module":
            own = {s.get_name() for s in table.get_symbols() if s.is_referenced()}
            return own | inner - {s.get_name() for s in table.get_symbols() if s.is_assigned()}
        return inner | {s.get_name() for s in table.get_symbols() if s.is_global()}

    return used(symtable.symtable(source, "<source>", "exec"))


def _right_answer(statement):
    """Return the source of `right` if a statement declares an exercise, else None.

    A program needs no more of an exercise: its mistakes use the right answers of others.
    """
    value = getattr(statement, "value", None)
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "Exercise":
        return next(ast.unparse(k.value) for k in value.keywords if k.arg == "right")
    return None
