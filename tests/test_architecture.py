"""The order of the modules (docs/architecture.md), held over the syntax trees; light imports."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import pkgutil
import re
import rlcompleter
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pytest

import harmonium

# In reading order: a module imports only from modules that stand before it. A package counts as
# one module. The package's own __init__ and __main__ stand outside: they are doors to all of it.
ORDER = (
    "defaults",
    "files",
    "metrics",
    "arguments",
    "autograd",
    "rng",
    "ranks",
    "kernels",
    "units",
    "rbm",
    "gauge",
    "gradient",
    "classification",
    "sampling",
    "datasets",
    "missing_states",
    "likelihood",
    "diagnostics",
    "imputation",
    "fidelity",
    "monitor",
    "graphs",
    "serialization",
    "optimization",
    "training",
    "checkpoint",
    "plots",
    "run_directory",
    "deep",
    "sequences",
    "ratings",
    "topics",
    "report",
    "runs",
    "recipes",
    "benchmark",
    "estimators",
    "cli",
)
DOORS = ("__init__", "__main__")

# Narrower than the order: evaluation judges a model that it did not train, and plots take arrays.
ONLY_FROM = {
    "plots": {"defaults", "files", "metrics"},
    "training": set(ORDER[: ORDER.index("training")]) - {"likelihood"},
}

# Each heavy third party has one door, and scikit-learn one for its data and one for its users.
DOORS_OF = {
    "bed_reader": ("datasets",),
    "cyvcf2": ("datasets",),
    "h5py": ("datasets",),
    "jinja2": ("report",),
    "matplotlib": ("plots",),
    "numba": ("kernels",),
    "pyarrow": ("datasets",),
    "sklearn": ("datasets", "estimators"),
    "triton": ("kernels",),
    "typer": ("cli",),
}

# What the package is compared with is imported in the repository's benchmarks alone.
PEERS = {"jax", "learnergy", "rbms", "sklearn", "threadpoolctl"}

# Of the package's own __init__, which no module imports otherwise.
FREE = "harmonium.__version__"

# What `import harmonium` and `harmonium --help` do without.
HEAVY = {
    "bed_reader",
    "cyvcf2",
    "h5py",
    "jinja2",
    "matplotlib",
    "numba",
    "pandas",
    "pyarrow",
    "scipy",
    "tensorboard",
    "torch",
    "triton",
} | PEERS

_SPEC = importlib.util.find_spec("harmonium")
assert _SPEC is not None and _SPEC.origin is not None
PACKAGE = Path(_SPEC.origin).parent
FILES = sorted(PACKAGE.rglob("*.py"))


@lru_cache(maxsize=1)
def nodes(source: str) -> tuple[ast.AST, ...]:
    """The syntax tree of a file, the module first; each file is checked for many things in turn."""
    return tuple(ast.walk(ast.parse(source)))


def imports(source: str, package: tuple[str, ...]) -> Iterator[str]:
    """The dotted names a file imports, wherever in it; ``package`` is what its dots refer to."""
    for node in nodes(source):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join((*above, *filter(None, [node.module])))
            if origin == "harmonium":
                yield from (f"harmonium.{alias.name}" for alias in node.names)
            else:
                yield origin


def faults(path: Path, source: str) -> list[str]:
    """What a file of the package does against the rules; ``path`` is below the package's folder."""
    module = path.parts[0].removesuffix(".py")
    if module in DOORS:
        return []
    if module not in ORDER:
        return [f"module {module} has no place in ORDER"]
    allowed = ONLY_FROM.get(module, set(ORDER[: ORDER.index(module)])) | {module}
    found = []
    for name in imports(source, ("harmonium", *path.parts[:-1])):
        root, _, rest = name.partition(".")
        if root == "harmonium" and name != FREE and rest.partition(".")[0] not in allowed:
            found.append(f"{module} may not import {name}")
        doors = DOORS_OF.get(root, () if root in PEERS else (module,))
        if module not in doors:
            whose = " and ".join(doors) or "benchmarks"
            found.append(f"{module} may not import {name}: that is for {whose}")
    return found


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("rng.py", "from harmonium.kernels import uniform"),
        ("rng.py", "from harmonium import kernels"),
        ("rng.py", "import harmonium.kernels as k"),
        ("rng.py", "from .kernels import uniform"),
        ("rng.py", "from . import kernels"),
        ("rng.py", "def draw():\n    from harmonium.kernels import uniform"),
        ("units/binary.py", "from ..rbm import RBM"),
        ("units/binary.py", "from .. import rbm"),
        ("sampling.py", "from harmonium import RBM"),
        ("sampling.py", "import harmonium"),
        ("training.py", "from harmonium import likelihood"),
        ("likelihood.py", "from harmonium import training"),
        ("plots.py", "from harmonium.rbm import RBM"),
        ("monitor.py", "import matplotlib.pyplot as plt"),
        ("rbm.py", "from sklearn.datasets import load_digits"),
        ("runs/follow.py", "import typer"),
        ("training.py", "import jax"),
        ("benchmark/turns.py", "import jax"),
        ("benchmark/turns.py", "from sklearn.neural_network import BernoulliRBM"),
        ("benchmark/peers/torch_loops.py", "import jax"),
        ("benchmark/peers/torch_loops.py", "import typer"),
        ("benchmark/peers/torch_loops.py", "from harmonium.cli import console"),
        ("misplaced.py", ""),
    ],
)
def test_a_broken_rule_is_noticed(path: str, source: str) -> None:
    assert len(faults(Path(path), source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("units/binary.py", "from .base import Units\nfrom ..kernels import binary_"),
        ("units/binary.py", "from harmonium.units.base import Units\nfrom harmonium import rng"),
        ("plots.py", "import matplotlib.pyplot as plt\nfrom harmonium import defaults"),
        ("cli/train.py", "from harmonium import __version__"),
        ("estimators/base.py", "from sklearn.base import BaseEstimator"),
        ("__init__.py", "from harmonium.cli import main"),
    ],
)
def test_a_kept_rule_is_left_alone(path: str, source: str) -> None:
    assert faults(Path(path), source) == []


# A file that is longer holds two things: each gets its own.
LONGEST = 400


# What estimators say with scikit-learn's ``verbose`` is theirs to print.
MAY_PRINT = ("cli", "estimators", "__main__")
# A variable of CSS is none.
FLAG = re.compile(r"(?<![-\w])(?<!var\()--[a-z]")

# Where flags are those of another program, pip.
OF_OTHERS = ("datasets/downloads.py",)


def voices(source: str) -> list[str]:
    """Where a file prints, ends the program, or reads what was typed."""
    found = []
    for node in nodes(source):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found += ["print"] if node.func.id == "print" else []
        if isinstance(node, ast.Attribute) and node.attr in ("argv", "exit"):
            name = ast.unparse(node)
            found += [name] if name in ("sys.argv", "sys.exit") else []
    return found


def flags(source: str) -> list[str]:
    """The texts of a file that name a flag of the command line."""
    return [text for text in texts_of(source) if FLAG.search(text)]


def texts_of(source: str, without: set[ast.AST] = frozenset(), put: str = "x") -> Iterator[str]:
    """All texts of a file, with a letter in place of what an f-string puts in."""
    inside = set(without)
    for node in nodes(source):
        if isinstance(node, ast.JoinedStr):
            inside.update(node.values)
            values = (getattr(part, "value", None) for part in node.values)
            yield "".join(value if isinstance(value, str) else put for value in values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside:
            yield node.value


def speaks(path: Path, source: str) -> list[str]:
    """Where a file of the package prints, reads what was typed, or names a flag."""
    module = path.parts[0].removesuffix(".py")
    said = voices(source) if module not in MAY_PRINT else []
    if module not in ("cli", "__main__") and path.as_posix() not in OF_OTHERS:
        said += flags(source)
    return said


def test_no_template_names_a_flag() -> None:
    for file in sorted(PACKAGE.rglob("*.html")):
        assert FLAG.findall(file.read_text(encoding="utf-8")) == [], file


def test_a_voice_below_the_command_line_is_noticed() -> None:
    found = voices("import sys\nprint(sys.argv)\nsys.exit(1)")
    assert sorted(found) == ["print", "sys.argv", "sys.exit"]
    assert flags("raise ValueError(f'{x} is wrong; take --hidden 3')") == [
        "x is wrong; take --hidden 3"
    ]
    assert flags("f'{x:g}; take --{name} 3'") == ["x; take --x 3"]
    assert flags("'a -- b', 'well--known', 'var(--ink)'") == []


# What stands behind a semicolon goes on with the sentence; None, True and False are Python's.
CAPITAL = re.compile(r"; (?!None\b|True\b|False\b)[A-Z][a-z]")


def capitals(source: str) -> list[str]:
    """The messages of a file that begin a new sentence behind a semicolon."""
    docstrings = {node.value for node in nodes(source) if isinstance(node, ast.Expr)}
    return [text for text in texts_of(source, docstrings) if CAPITAL.search(text)]


def test_a_capital_behind_a_semicolon_is_noticed() -> None:
    assert capitals("f'{x} is no set; The sets are {y}'") == ["x is no set; The sets are x"]
    assert capitals("'it is x; None keeps it, and CSR is read'") == []
    assert capitals("def f():\n    'None; The docstring.'\n    return 1") == []


# A unit type outside its folder may be made, and stand in an annotation; what is true of it, it
# says itself (`Units`), so that a user's own type needs no line elsewhere.
KNOW_UNITS = ("units", "kernels", "__init__.py")
TYPES = {*harmonium.units.UNIT_TYPES, "LinearUnits"}


def asks_of_types(source: str) -> list[str]:
    """Where a file asks of which type units are, or keeps what is true of a type."""
    may: set[ast.AST] = set()
    for node in nodes(source):
        if isinstance(node, ast.Call):
            may.add(node.func)
        annotation = getattr(node, "annotation", None) or getattr(node, "returns", None)
        may.update(ast.walk(annotation) if isinstance(annotation, ast.AST) else ())
    named = (node for node in nodes(source) if isinstance(node, ast.Name | ast.Attribute))
    found = [node for node in named if (getattr(node, "id", None) or node.attr) in TYPES]
    patterns = [node.cls for node in nodes(source) if isinstance(node, ast.MatchClass)]
    return [ast.unparse(node) for node in found if node in patterns or node not in may]


@pytest.mark.parametrize(
    "source",
    [
        "isinstance(x, Binary)",
        "isinstance(x, units.Binary | int)",
        "type(x) is Spin",
        "table = {Binary: 0}",
        "match x:\n    case Gaussian():\n        pass",
        "issubclass(t, LinearUnits)",
    ],
)
def test_a_question_for_the_type_is_noticed(source: str) -> None:
    assert len(asks_of_types(source)) == 1
    assert asks_of_types("def f(x: Binary) -> Gaussian:\n    return Gaussian(3)") == []


LAWS: dict[str, Callable[[Path, str], object]] = {
    "imports point up the list": faults,
    "a module says what belongs in it": lambda _, source: not ast.get_docstring(nodes(source)[0]),
    "a file can be read at once": lambda _, source: len(source.splitlines()) > LONGEST,
    "only the command line speaks": speaks,
    "a semicolon is followed by a small letter": lambda _, source: capitals(source),
    "no file asks of which type units are": lambda path, source: (
        path.parts[0] not in KNOW_UNITS and asks_of_types(source)
    ),
}


@pytest.fixture(scope="module")
def broken() -> dict[str, dict[str, object]]:
    """What each file does against each law; one look at a file is enough for all of them."""
    found: dict[str, dict[str, object]] = {law: {} for law in LAWS}
    for file in FILES:
        path, source = file.relative_to(PACKAGE), file.read_text(encoding="utf-8")
        for law, against in LAWS.items():
            if faulty := against(path, source):
                found[law][path.as_posix()] = faulty
    return found


@pytest.mark.parametrize("law", LAWS)
def test_every_file_keeps_the_law(law: str, broken: dict[str, dict[str, object]]) -> None:
    assert broken[law] == {}


def test_every_public_name_is_there() -> None:
    assert all(getattr(harmonium, name) is not None for name in harmonium.__all__)
    assert dir(harmonium) == sorted(harmonium.__all__)
    with pytest.raises(AttributeError, match="No harmonium attribute rbn"):
        harmonium.rbn  # noqa: B018


def test_every_public_name_is_two_dots_away_and_completed() -> None:
    complete = rlcompleter.Completer({"harmonium": harmonium}).attr_matches
    modules = [name for name in harmonium.__all__ if inspect.ismodule(getattr(harmonium, name))]
    assert {"harmonium." + name for name in modules} <= {*complete("harmonium.")}
    for name in modules:
        module = getattr(harmonium, name)
        for own in getattr(module, "__all__", ()):
            assert getattr(module, own) is not None
            assert complete(f"harmonium.{name}.{own}")
        for below in pkgutil.iter_modules(getattr(module, "__path__", ())):
            if below.ispkg and below.name not in module.__all__:  # a folder, and no name
                inner = importlib.import_module(f"harmonium.{name}.{below.name}")
                assert {*getattr(inner, "__all__", ())} <= {*module.__all__}, inner


def test_every_documented_module_is_reached_by_its_name() -> None:
    documented = {page.stem for page in (Path(__file__).parents[1] / "docs" / "api").glob("*.md")}
    for name in sorted(documented - {"index"}):
        assert getattr(harmonium, name).__name__ == f"harmonium.{name}"


@pytest.mark.parametrize("module", ["harmonium", "harmonium.cli"])
def test_an_import_stays_light(module: str) -> None:
    # In a process of its own: in this one, other tests have imported everything.
    program = f"import sys, {module}; print(*{HEAVY!r} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
