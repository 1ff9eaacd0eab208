"""The doors of the house: which room imports what, read from the sources."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import skfactorvae

HOUSE = Path(skfactorvae.__file__).parent
OURS = HOUSE.name

GROUND = ("_health", "_inputs", "_moments", "_pipelines")
"""Modules at the top that import nothing of ours; every room but core may use them."""

ROOMS = ("core", "metrics", "datasets", "inspection", "model_selection")

NEIGHBOURS = {
    "core": {"core"},
    "ground": set(),
    "metrics": {"metrics", "ground"},
    "datasets": {"datasets", "ground"},
    "inspection": {"inspection", "metrics", "ground"},
    "model_selection": {"model_selection", "hall", "metrics", "ground"},
    "hall": {"hall", "core", "ground"},
    "window": {"hall", "metrics", "datasets", "inspection", "model_selection"},
}
"""Rooms that a room may import from."""

GUESTS = {
    "core": {"torch", "numpy"},
    "ground": {"numpy", "scipy", "sklearn"},
    "metrics": {"numpy", "scipy", "sklearn"},
    "datasets": {"numpy", "scipy", "sklearn"},
    "inspection": {"numpy", "scipy", "sklearn"},
    "model_selection": {"numpy", "scipy", "sklearn", "joblib"},
    "hall": {"numpy", "sklearn", "joblib"},
    "window": set(),
}
"""Libraries that a room imports when it is imported."""

LATE_GUESTS = {
    "core": set(),
    "ground": {"pandas"},
    "metrics": {"pandas"},
    "datasets": {"pandas"},
    "inspection": {"matplotlib", "pandas"},
    "model_selection": {"matplotlib", "pandas"},
    "hall": set(),
    "window": set(),
}
"""Libraries that may be missing: imported inside functions only."""

KEEPER_OF_PRIVATE_NAMES = "_compat"

FILES = sorted(HOUSE.rglob("*.py"))


def name_of(path):
    """Return a file's module name, without the package's: core._networks, say."""
    parts = path.relative_to(HOUSE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def room_of(module):
    first = module.split(".")[0]
    if not module:
        return "window"
    if module in GROUND:
        return "ground"
    return first if first in ROOMS else "hall"


class Import:
    """One imported name: ``from source import name``, or ``import source``."""

    def __init__(self, source, name, is_late, line):
        self.source, self.name, self.is_late, self.line = source, name, is_late, line
        self.library = source.split(".")[0]

    @property
    def is_ours(self):
        return self.library == OURS

    @property
    def module(self):
        """Module of ours that is imported, without the package's name."""
        inside = self.source.removeprefix(OURS).strip(".")
        whole = f"{inside}.{self.name}".strip(".") if self.name else inside
        return whole if whole in MODULES else inside

    def __repr__(self):
        return f"line {self.line}: {self.source} {self.name or ''}"


def imports_of(path):
    """Read the imports of a file, relative ones resolved."""
    package = [OURS, *path.relative_to(HOUSE).parent.parts]

    def walk(node, is_late):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(alias.name, None, is_late, child.lineno)
            elif isinstance(child, ast.ImportFrom):
                base = package[: len(package) + 1 - child.level] if child.level else []
                source = ".".join([*base, *filter(None, [child.module])])
                for alias in child.names:
                    yield Import(source, alias.name, is_late, child.lineno)
            is_function = isinstance(child, ast.FunctionDef | ast.Lambda)
            yield from walk(child, is_late or is_function)

    return list(walk(ast.parse(path.read_text(encoding="utf-8")), False))


MODULES = {name_of(path): path for path in FILES}
IMPORTS = {module: imports_of(path) for module, path in MODULES.items()}

each_module = pytest.mark.parametrize("module", MODULES, ids=lambda m: m or OURS)
each_door = pytest.mark.parametrize("room", [r for r in ("", *ROOMS) if r in MODULES])


@each_module
def test_a_room_imports_its_neighbours_only(module):
    allowed = NEIGHBOURS[room_of(module)]
    foreign = [
        i for i in IMPORTS[module] if i.is_ours and room_of(i.module) not in allowed
    ]
    assert not foreign


@each_module
def test_a_room_imports_its_guests_only(module):
    room = room_of(module)
    foreign = [
        i
        for i in IMPORTS[module]
        if not i.is_ours
        and i.library not in sys.stdlib_module_names | GUESTS[room]
        and not (i.is_late and i.library in LATE_GUESTS[room])
    ]
    assert not foreign


@each_module
def test_a_room_is_entered_by_its_door(module):
    """What lies behind a folder's ``__init__`` is imported inside that folder only."""
    around_the_door = [
        i
        for i in IMPORTS[module]
        if i.is_ours
        and room_of(i.module) not in ("hall", "ground", room_of(module))
        and i.module != room_of(i.module)
    ]
    assert not around_the_door


@each_module
def test_private_names_of_others_are_imported_in_one_place(module):
    private = [
        i
        for i in IMPORTS[module]
        if i.library in ("sklearn", "joblib", "scipy", "numpy", "torch")
        and any(p.startswith("_") for p in f"{i.source}.{i.name or ''}".split("."))
    ]
    assert not private or module == KEEPER_OF_PRIVATE_NAMES


def test_private_attributes_of_objects_are_not_looked_up_by_name():
    """What one part of the package needs of another's objects is public."""
    lookups = {"getattr", "hasattr", "setattr", "delattr", "attrgetter"}
    found = [
        f"{module}, line {node.lineno}: {argument.value}"
        for module, path in MODULES.items()
        if module != KEEPER_OF_PRIVATE_NAMES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and (getattr(node.func, "id", None) or getattr(node.func, "attr", None))
        in lookups
        for argument in node.args
        if isinstance(argument, ast.Constant)
        and isinstance(argument.value, str)
        and argument.value.startswith("_")
        and not argument.value.startswith("__")
    ]
    assert not found, found


@each_module
def test_no_import_hides_names_behind_a_star(module):
    assert not [i for i in IMPORTS[module] if i.name == "*"]


def test_no_imports_go_round_in_circles():
    """A module is reached from its own imports by no path."""
    arrows = {
        module: {i.module for i in imports if i.is_ours} - {module}
        for module, imports in IMPORTS.items()
    }
    finished = set()

    def visit(module, path):
        assert module not in path, " -> ".join([*path, module])
        if module not in finished:
            for target in sorted(arrows[module]):
                visit(target, [*path, module])
            finished.add(module)

    for module in sorted(arrows):
        visit(module, [])


@each_door
def test_every_door_says_what_is_behind_it(room):
    """Each ``__init__`` holds a docstring, imports, and ``__all__``, nothing else."""
    tree = ast.parse(MODULES[room].read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    names = [
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
    ]
    assert set(names) <= {"__all__", "__version__"}
    assert "__all__" in names
    kinds = ast.Expr | ast.Assign | ast.Import | ast.ImportFrom
    assert all(isinstance(node, kinds) for node in tree.body)


@each_door
def test_all_holds_every_public_name_in_order(room):
    tree = ast.parse(MODULES[room].read_text(encoding="utf-8"))
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
    }
    (names,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__"
    ]
    assert len(names) == len(set(names))
    assert {n for n in imported if not n.startswith("_")} <= {*names, "annotations"}
    assert set(names) <= imported | {"__version__"}


@each_module
def test_no_file_is_too_long_to_be_read(module):
    lines = MODULES[module].read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 700


@each_module
def test_no_file_holds_a_control_character(module):
    """A tab in a formula, say, is a backslash and a t that went wrong."""
    text = MODULES[module].read_text(encoding="utf-8")
    assert not [c for c in text if ord(c) < 32 and c != "\n"]


@each_module
def test_every_file_says_what_it_is(module):
    assert ast.get_docstring(ast.parse(MODULES[module].read_text(encoding="utf-8")))


# ------------------------------------------------------- what an import does not do
SNAPSHOT = """
import random, sys, warnings
import numpy as np
import torch, scipy.stats, sklearn.decomposition, joblib
try:
    import sklearn.callback
except ImportError:
    pass

def snapshot():
    return {
        "numpy": np.random.get_state()[1].tobytes(),
        "python": random.getstate(),
        "torch": torch.get_rng_state().numpy().tobytes(),
        "seed": torch.initial_seed(),
        "filters": list(warnings.filters),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "dtype": torch.get_default_dtype(),
        "errors": np.geterr(),
        "printing": np.get_printoptions(),
        "hooks": (sys.excepthook, sys.displayhook),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "grad": torch.is_grad_enabled(),
        "config": sklearn.get_config(),
    }

before = snapshot()
import skfactorvae, skfactorvae.metrics, skfactorvae.datasets
import skfactorvae.model_selection
import skfactorvae.inspection
after = snapshot()
changed = [name for name in before if before[name] != after[name]]
assert not changed, changed
assert not torch.cuda.is_initialized()
"""


def run(code):
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def test_importing_changes_nothing_and_prints_nothing():
    done = run(SNAPSHOT)
    assert done.stdout == done.stderr == ""


def test_importing_needs_no_optional_library():
    missing = ["matplotlib", "pandas", "polars", "rich"]
    block = f"import sys\nsys.modules.update(dict.fromkeys({missing}))\n"
    run(block + "import skfactorvae.metrics, skfactorvae.datasets")
    run(block + "import skfactorvae.inspection")


def test_importing_loads_no_matplotlib():
    run("import sys, skfactorvae.inspection; assert 'matplotlib' not in sys.modules")
