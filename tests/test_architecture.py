"""The import rules of the package, read from its source files.

A layer is a folder of the package, or one or several of its top modules. Each test
lists all offenders at once.
"""

import ast
import subprocess
import sys
from pathlib import Path

import skfactorvae

ROOT = Path(skfactorvae.__file__).parent
PACKAGE = ROOT.name

FOLDERS = (
    "sources",
    "columns",
    "identification",
    "core",
    "preparation",
    "estimators",
    "metrics",
    "evaluation",
    "datasets",
    "inspection",
    "model_selection",
    "files",
    "persistence",
    "runtime",
    "interchange",
)

LAYER_OF = {
    "": "package",
    "_version": "version",
    "base": "base",
    "_batching": "batching",
    "_causal_graphs": "ground",
    "_checkpoints": "checkpoints",
    "_batch_progress": "batching",
    "_batch_training": "batching",
    "_workers": "batching",
    "_compat": "compat",
    "_validation": "validation",
    "_moments": "moments",
    "_locks": "locks",
    "_inputs": "ground",
    "_jacobian": "ground",
    "_sample_types": "ground",
    "_linear_models": "ground",
    "_matplotlib": "ground",
    "_pandas": "ground",
    "_pairs": "ground",
    "_simple_structure": "ground",
    "_text_arrays": "ground",
    "_undefined": "ground",
    "_pipelines": "ground",
    "_health": "ground",
    "_joint_diagonalisation": "ground",
    "_remedies": "ground",
    "_loading": "loading",
}
"""Layer of each other module of the package, or folder of modules."""

MAY_IMPORT = {
    "version": set(),
    "moments": set(),
    "locks": set(),
    "ground": set(),
    "compat": set(),
    "validation": {"compat"},
    "files": set(),
    "persistence": {"files", "version"},
    "runtime": {"columns", "files"},
    "loading": {"estimators", "model_selection", "files"},
    "interchange": {"loading", "persistence", "runtime", "files"},
    "core": {"moments", "locks"},
    "checkpoints": {"core", "files", "locks", "version"},
    "batching": {"checkpoints", "core", "compat"},
    "sources": {"ground"},
    "columns": {"ground"},
    "identification": {"ground"},
    "preparation": {
        "core",
        "sources",
        "columns",
        "ground",
        "validation",
        "moments",
        "locks",
        "version",
    },
    "estimators": {
        "sources",
        "columns",
        "preparation",
        "core",
        "batching",
        "checkpoints",
        "ground",
        "moments",
        "validation",
        "compat",
        "persistence",
    },
    "base": {"estimators", "core"},
    "metrics": {"ground"},
    "evaluation": {"ground"},
    "datasets": {"ground"},
    "inspection": {"columns", "metrics", "evaluation", "ground", "moments", "sources"},
    "model_selection": {
        "columns",
        "batching",
        "metrics",
        "ground",
        "validation",
        "compat",
        "persistence",
    },
    "package": {
        "estimators",
        "metrics",
        "evaluation",
        "datasets",
        "identification",
        "inspection",
        "model_selection",
        "runtime",
        "interchange",
        "loading",
        "checkpoints",
        "ground",
        "version",
    },
}
"""Layers that a layer may import from, beside itself."""

LIBRARIES = {
    "version": set(),
    "moments": {"numpy"},
    "locks": set(),
    "ground": {"numpy", "scipy", "sklearn"},
    "compat": {"sklearn", "joblib"},
    "validation": {"numpy"},
    "files": {"numpy"},
    "persistence": {"numpy"},
    "runtime": {"numpy"},
    "loading": set(),
    "interchange": {"numpy"},
    "sources": {"numpy", "scipy"},
    "columns": {"numpy"},
    "identification": {"numpy", "sklearn"},
    "core": {"torch", "numpy"},
    "checkpoints": {"numpy"},
    "batching": {"numpy", "joblib"},
    "preparation": {"numpy", "sklearn"},
    "estimators": {"numpy", "sklearn"},
    "base": set(),
    "metrics": {"numpy", "scipy", "sklearn"},
    "evaluation": {"numpy", "sklearn"},
    "datasets": {"numpy", "scipy", "sklearn"},
    "inspection": {"numpy", "scipy", "sklearn"},
    "model_selection": {"numpy", "scipy", "sklearn", "joblib"},
    "package": set(),
}
"""Libraries that a layer imports."""

OPTIONAL_LIBRARIES = {
    "columns": {"pandas"},
    "files": {"pandas"},
    "persistence": {"sklearn"},  # not needed to read a file
    "interchange": {"onnx", "skl2onnx", "skops", "sklearn"},
    "ground": {"matplotlib", "pandas"},
    "estimators": {"tqdm"},
    "metrics": {"pandas"},
    "datasets": {"h5py", "pandas"},
    "inspection": {"matplotlib", "pandas"},
    "model_selection": {"matplotlib", "pandas"},
}
"""Libraries that a layer imports inside functions only, since they may be missing."""

KEEPERS_OF_PRIVATE_NAMES = ("_compat", "core._compat")
"""Modules that may use private names of other libraries."""

FILTER_CHANGES = {
    "catch_warnings",
    "filterwarnings",
    "resetwarnings",
    "simplefilter",
}
"""Functions that change the filters of warnings."""

MAX_LINES = 700

FILES = sorted(ROOT.rglob("*.py"))


def name_of(path):
    """Return a file's module name without the package's, such as core._networks."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def layer_of(module):
    """Return the layer of a module."""
    folder = module.split(".")[0]
    return folder if folder in FOLDERS else LAYER_OF[folder]


class Import:
    """One imported name: ``from source import name``, or ``import source``."""

    def __init__(self, source, name, is_late, line):
        self.source, self.name, self.is_late, self.line = source, name, is_late, line
        self.library = source.split(".")[0]

    @property
    def is_ours(self):
        return self.library == PACKAGE

    @property
    def module(self):
        """Module of this package that is imported, without the package's name."""
        inside = self.source.removeprefix(PACKAGE).strip(".")
        whole = f"{inside}.{self.name}".strip(".") if self.name else inside
        return whole if whole in MODULES else inside

    def __repr__(self):
        return f"line {self.line}: {self.source} {self.name or ''}"


def imports_of(path):
    """Read the imports of a file, relative ones resolved."""
    package = [PACKAGE, *path.relative_to(ROOT).parent.parts]

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
TREES = {m: ast.parse(path.read_text(encoding="utf-8")) for m, path in MODULES.items()}
IMPORTS = {module: imports_of(path) for module, path in MODULES.items()}


def offenders(is_wrong):
    """Return all imports for which ``is_wrong(module, import)`` holds, as strings."""
    return [
        f"{module or PACKAGE}, {i}"
        for module, imports in IMPORTS.items()
        for i in imports
        if is_wrong(module, i)
    ]


def test_every_module_has_a_layer():
    assert {layer_of(module) for module in MODULES} == set(MAY_IMPORT)


def test_a_layer_imports_only_what_it_may():
    def is_wrong(module, i):
        layer = layer_of(module)
        return i.is_ours and layer_of(i.module) not in {layer, *MAY_IMPORT[layer]}

    assert offenders(is_wrong) == []


def test_the_import_rules_have_no_cycle():
    finished = set()

    def visit(layer, path):
        assert layer not in path, " -> ".join([*path, layer])
        for target in MAY_IMPORT[layer] - finished:
            visit(target, [*path, layer])
        finished.add(layer)

    for layer in MAY_IMPORT:
        visit(layer, [])


def test_a_layer_imports_only_its_libraries():
    def is_wrong(module, i):
        layer = layer_of(module)
        is_optional = i.is_late and i.library in OPTIONAL_LIBRARIES.get(layer, ())
        allowed = sys.stdlib_module_names | LIBRARIES[layer]
        return not (i.is_ours or i.library in allowed or is_optional)

    assert offenders(is_wrong) == []


def test_a_folder_is_imported_through_its_init():
    """Files of a folder are imported inside that folder only."""

    def is_wrong(module, i):
        if not i.is_ours:
            return False
        layer = layer_of(i.module)
        return layer in FOLDERS and layer != layer_of(module) and i.module != layer

    assert offenders(is_wrong) == []


def test_private_names_of_other_libraries_are_imported_in_one_place():
    def is_wrong(module, i):
        names = f"{i.source}.{i.name or ''}".split(".")
        is_private = not i.is_ours and any(n.startswith("_") for n in names)
        is_future = i.source == "__future__"
        return is_private and not is_future and module not in KEEPERS_OF_PRIVATE_NAMES

    assert offenders(is_wrong) == []


def test_private_attributes_of_objects_are_not_looked_up_by_name():
    """What one part of the package needs of another's objects is public."""
    lookups = {"getattr", "hasattr", "setattr", "delattr", "attrgetter"}
    found = [
        f"{module}, line {node.lineno}: {argument.value}"
        for module, tree in TREES.items()
        if module not in KEEPERS_OF_PRIVATE_NAMES
        for node in ast.walk(tree)
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


def test_no_import_has_a_star():
    assert offenders(lambda _, i: i.name == "*") == []


def test_no_imports_form_a_cycle():
    """No module is reached from its own imports."""
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


def test_every_init_holds_a_docstring_imports_and_all():
    """The package's own also has a version, and loads its names on first use."""
    kinds = ast.Expr | ast.Assign | ast.Import | ast.ImportFrom
    loading = ast.If | ast.FunctionDef
    wrong = []
    for folder in ("", *FOLDERS):
        tree = TREES[folder]
        allowed = kinds | loading if folder == "" else kinds
        is_right = ast.get_docstring(tree) and assigned(tree) <= {
            "__all__",
            *(["__version__"] if folder == "" else []),
        }
        if not is_right or not all(isinstance(node, allowed) for node in tree.body):
            wrong.append(folder or PACKAGE)
    assert wrong == []


def test_all_holds_every_public_name_once():
    wrong = []
    for folder in ("", *FOLDERS):
        tree = TREES[folder]
        imported = {
            i.name
            for i in IMPORTS[folder]
            if i.is_ours and not (i.name or "_").startswith("_")
        }
        (names,) = [
            ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and node.targets[0].id == "__all__"
        ]
        if len(names) != len(set(names)) or imported != set(names):
            wrong.append((folder or PACKAGE, imported ^ set(names)))
    assert wrong == []


def assigned(tree):
    """Return the names that a module assigns."""
    return {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
    }


def test_no_file_is_too_long():
    lengths = {
        m: len(p.read_text(encoding="utf-8").splitlines()) for m, p in MODULES.items()
    }
    assert {m: n for m, n in lengths.items() if n > MAX_LINES} == {}


def test_no_file_holds_a_control_character():
    """A tab in a formula, for instance, comes from an unescaped backslash and t."""
    wrong = [
        module
        for module, path in MODULES.items()
        for c in path.read_text(encoding="utf-8")
        if ord(c) < 32 and c != "\n"
    ]
    assert wrong == []


def test_every_file_has_a_docstring():
    assert [m for m, tree in TREES.items() if not ast.get_docstring(tree)] == []


def test_warning_filters_are_not_changed():
    """They belong to the process: what threads change and restore at once is lost."""
    changed = [
        f"{module}, line {node.lineno}"
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in FILTER_CHANGES
        if module != "_batching"  # runs the threads of a search one at a time
    ]
    assert changed == []


# ---------------------------------------------------------- effects of an import
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
import skfactorvae
for name in skfactorvae.__all__:
    getattr(skfactorvae, name)
import skfactorvae.base
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
    missing = ["matplotlib", "pandas", "polars", "rich", "tqdm"]
    block = f"import sys\nsys.modules.update(dict.fromkeys({missing}))\n"
    run(block + "import skfactorvae.metrics, skfactorvae.datasets")
    run(block + "import skfactorvae.inspection")


def test_importing_loads_no_matplotlib():
    run("import sys, skfactorvae.inspection; assert 'matplotlib' not in sys.modules")
