"""The house: which folder may import which."""

import ast
from functools import cache
from pathlib import Path

import pytest

import meanshift_fast
from meanshift_fast._index.kernels import KERNELS

PACKAGE = Path(meanshift_fast.__file__).parent
# What each folder may import of the package, besides itself. The faces are the modules on top.
BELOW = {
    "_jit": set(),
    "_input": {"_jit"},
    "_index": {"_jit", "_input"},
    "_cluster": {"_jit", "_input", "_index"},
    "_files": {"_jit", "_input"},
    "_pictures": {"_jit", "_input", "_index", "_cluster"},
    "_summaries": {"_jit", "_input", "_index", "_cluster"},
    # Besides the public faces: what reads options and reports, and what writes files. No engine.
    "_cli": {"_input", "_files"},
    "_image": {"_jit", "_input", "_index", "_cluster"},
    # And the public faces.
    "_explore": {"_jit", "_input", "_index", "_cluster", "_files", "_pictures"},
}
ABOVE_FACES = ("_cli", "_explore")
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE)
FACES = sorted(path for path in PACKAGE.glob("*.py") if path.stem != "__init__")
ALL = [*FACES, *MODULES]


@cache
def nodes_of(path):
    """All nodes of a file's syntax tree."""
    return list(ast.walk(ast.parse(path.read_text())))


def imported(path):
    """The modules and names of the package that a file imports, wherever in it."""
    for node in nodes_of(path):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("meanshift_fast"):
            for alias in node.names:
                yield [*node.module.split(".")[1:], alias.name]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("meanshift_fast."):
                    yield alias.name.split(".")[1:]


def named(faults):
    """The faults of the modules that have some."""
    return {str(path.relative_to(PACKAGE)): found for path, found in faults.items() if found}


def test_a_folder_imports_what_lies_below_it():
    faults = {}
    for path in MODULES:
        wing = path.relative_to(PACKAGE).parts[0]
        found = {names[0] for names in imported(path)} - {wing}
        if wing in ABOVE_FACES:
            found = {name for name in found if name.startswith("_")}
        faults[path] = found - BELOW[wing]
    assert named(faults) == {}


def lines_of(node):
    """How many lines a function has besides its docstring."""
    first = node.body[0]
    documented = ast.get_docstring(node) is not None
    n_documented = first.end_lineno - first.lineno + 1 if documented else 0
    return node.end_lineno - node.lineno + 1 - n_documented


def test_a_module_and_its_functions_fit_in_the_head():
    long = {path: n for path in ALL if (n := path.read_text().count("\n")) > 450}
    assert named(long) == {}
    functions = {
        path: [node for node in nodes_of(path) if isinstance(node, ast.FunctionDef)] for path in ALL
    }
    long = {path: [f.name for f in found if lines_of(f) > 60] for path, found in functions.items()}
    assert named(long) == {}


ALLOCATORS = {"empty_floats", "empty_integers", "empty", "zeros", "ones"}


def called(node):
    """The name of what a node calls; empty where it calls nothing."""
    function = getattr(node, "func", None)
    return getattr(function, "id", getattr(function, "attr", ""))


def arrays_made_in(function, makers):
    """The names that a function gives to arrays that it makes, and in which line."""
    return {
        name.id: node.lineno
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and any(called(n) in makers for n in ast.walk(node.value))
        for name in ast.walk(node.targets[0])
        if isinstance(name, ast.Name)
    }


def may_return_what_it_makes(function, makers):
    """Whether a returned expression names or makes an array that the function makes."""
    made = arrays_made_in(function, makers)
    returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
    parts = [part for value in returned if value for part in ast.walk(value)]
    return any(called(part) in makers or getattr(part, "id", "") in made for part in parts)


def makers_among(kernels):
    """The names of what allocates arrays, and of kernels that return such arrays."""
    makers, n_known = set(ALLOCATORS), 0
    while len(makers) > n_known:
        n_known = len(makers)
        makers |= {kernel.name for kernel in kernels if may_return_what_it_makes(kernel, makers)}
    return makers


def loose_pointers(function, makers):
    """Flat pointers to arrays that a function makes, outside of loops that begin after that."""
    made = arrays_made_in(function, makers)
    loops = [node for node in ast.walk(function) if isinstance(node, ast.For | ast.While)]
    for node in ast.walk(function):
        if called(node) not in ("flat", "bit_patterns"):
            continue
        around = [loop.lineno for loop in loops if loop.lineno < node.lineno <= loop.end_lineno]
        for part in ast.walk(node.args[0]):
            since = made.get(getattr(part, "id", ""), 0)
            if called(part) in makers or max(around, default=0) < since:
                yield ast.unparse(node)


def is_kernel(node):
    kinds = {"step", "serial", "parallel", "inlined"}
    decorators = getattr(node, "decorator_list", [])
    return isinstance(node, ast.FunctionDef) and any(
        getattr(decorator, "id", "") in kinds for decorator in decorators
    )


def test_no_kernel_has_a_pointer_to_memory_that_may_be_free():
    # Numba frees an array after its last use, and a pointer is none.
    kernels = {path: [node for node in nodes_of(path) if is_kernel(node)] for path in ALL}
    makers = makers_among([kernel for found in kernels.values() for kernel in found])
    found = {
        path: [
            (kernel.name, pointer) for kernel in some for pointer in loose_pointers(kernel, makers)
        ]
        for path, some in kernels.items()
    }
    assert named(found) == {}


FAULTY_KERNELS = """
def f(x):
    a = empty_floats(3)
    g(flat(x), flat(a))
def pair(n):
    a = empty_floats(n)
    return n, a
def memory(n):
    return Memory(pair(n), n)
def h(x):
    b = memory(3)
    g(flat(x), flat(b.pair[1]), flat(pair(3)[1]))
"""


def test_a_pointer_to_memory_of_a_kernel_is_found_through_those_that_return_it():
    kernels = ast.parse(FAULTY_KERNELS).body
    makers = makers_among(kernels)
    found = [pointer for kernel in kernels for pointer in loose_pointers(kernel, makers)]
    assert found == ["flat(a)", "flat(b.pair[1])", "flat(pair(3)[1])"]


def test_no_private_name_of_a_face_is_imported():
    found = {
        path: [
            names
            for names in imported(path)
            if not names[0].startswith("_") and any(name.startswith("_") for name in names)
        ]
        for path in ALL
    }
    assert named(found) == {}


def test_the_explorers_face_alone_imports_it():
    importing = {path for path in ALL if "_explore" in {names[0] for names in imported(path)}}
    assert PACKAGE / "explore.py" in importing
    assert {path for path in importing if "_explore" not in path.parts} == {PACKAGE / "explore.py"}


def test_no_face_imports_the_command_line():
    importing = {path for path in FACES if "_cli" in {names[0] for names in imported(path)}}
    assert importing == {PACKAGE / "__main__.py"}


def kernels_compared(nodes):
    """The names of kernels with which a syntax tree compares, or which it matches."""
    branches = [node for node in nodes if isinstance(node, ast.Compare | ast.MatchValue)]
    parts = [part for branch in branches for part in ast.walk(branch)]
    return {part.value for part in parts if isinstance(part, ast.Constant)} & {*KERNELS}


def test_no_branch_compares_with_the_name_of_a_kernel():
    assert named({path: kernels_compared(nodes_of(path)) for path in ALL}) == {}


@pytest.mark.parametrize(
    "branch",
    [
        'if kernel == "flat": ...',
        'if "flat" != kernel: ...',
        'if kernel in ("flat", None): ...',
        'match kernel:\n    case None | "flat": ...',
    ],
)
def test_every_form_of_such_a_branch_is_noticed(branch):
    assert kernels_compared(ast.walk(ast.parse(branch))) == {"flat"}


def test_there_are_no_circles():
    graph = {}
    for path in [*MODULES, *FACES]:
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        parts = [names for names in imported(path) if not names[-1].startswith("__")]
        graph[name] = {".".join(p[:k]) for p in parts for k in (1, 2)} - {name}
    done = set()
    while ready := {name for name in graph.keys() - done if not graph[name] & graph.keys() - done}:
        done |= ready
    assert sorted(graph.keys() - done) == []


def test_each_folder_says_what_it_holds():
    folders = {path.parent for path in MODULES}
    assert {folder.name for folder in folders} == set(BELOW)
    for folder in folders:
        text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
        assert "import" in text.lower()
