"""House rules that a reader of the packages may rely on."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import dynamics

ROOT = Path(__file__).parents[1]
PACKAGES = ("dynamics", "analytic", "simulations", "figures")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
EVERY = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
LONGEST = 300
#: What numpy.random offers without a hidden global state.
MODERN = {
    "Generator",
    "SeedSequence",
    "BitGenerator",
    "Philox",
    "PCG64",
    "PCG64DXSM",
    "SFC64",
    "MT19937",
    "default_rng",
}
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "random"}


def dotted(node):
    """``a.b.c`` of an expression, or ''."""
    if isinstance(node, ast.Attribute):
        start = dotted(node.value)
        return f"{start}.{node.attr}" if start else ""
    return node.id if isinstance(node, ast.Name) else ""


def broken_rules(tree):
    """What in a syntax tree is against the rules, in words."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from _imports([alias.name for alias in node.names])
        elif isinstance(node, ast.ImportFrom):
            yield from _imports([node.module or ""])
            yield from _legacy(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield from _legacy([dotted(node)])
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            yield "bare except"
        elif isinstance(node, ast.ExceptHandler) and dotted(node.type) == "BaseException":
            yield "except BaseException"
        elif isinstance(node, ast.Call):
            yield from _calls(node)


def _imports(modules):
    return [f"import of {name}" for name in modules if name.split(".")[0] in FORBIDDEN_MODULES]


def _legacy(names):
    found = [re.fullmatch(r"(?:np|numpy)\.random\.(\w+)", name) for name in names]
    return [f"legacy {match[0]}" for match in found if match and match[1] not in MODERN]


def _calls(node):
    name = dotted(node.func)
    if name in {"eval", "exec", "builtins.eval", "builtins.exec", "os.system", "os.popen"}:
        yield f"call of {name}"
    for keyword in node.keywords:
        constant = isinstance(keyword.value, ast.Constant)
        if keyword.arg == "shell" and not (constant and keyword.value.value is False):
            yield "shell"
        if keyword.arg == "allow_pickle" and not (constant and keyword.value.value is False):
            yield "allow_pickle"
        if (
            keyword.arg == "fastmath"
            and not (constant and keyword.value.value is False)
            and not reorders(keyword.value)
        ):
            yield "fastmath"


def reorders(node):
    """Whether an option lets sums be reordered and no more: infinities and nan keep their meaning."""
    flags = {"reassoc", "contract", "arcp", "nsz"}
    return isinstance(node, ast.Set) and all(getattr(item, "value", None) in flags for item in node.elts)


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import pickle", "import of pickle"), ("from pickle import load", "import of pickle"),
        ("import random as r", "import of random"), ("eval('1')", "call of eval"), ("exec('1')", "call of exec"),
        ("import os\nos.system('ls')", "call of os.system"), ("run('ls', shell=True)", "shell"),
        ("np.random.rand(3)", "legacy np.random.rand"), ("np.random.seed(0)", "legacy np.random.seed"),
        ("from numpy.random import randn", "legacy numpy.random.randn"), ("x = np.random.RandomState", "legacy"),
        ("try:\n    1\nexcept:\n    2", "bare except"), ("np.load(p, allow_pickle=True)", "allow_pickle"),
        ("njit(fastmath=True)", "fastmath"), ("njit(fastmath={'reassoc', 'nnan'})", "fastmath"),
    ],
)  # fmt: skip
def test_the_scan_sees_what_is_forbidden(code, found):
    assert any(words.startswith(found) for words in broken_rules(ast.parse(code)))


@pytest.mark.parametrize(
    "code", ["np.random.default_rng(0)", "from numpy.random import Philox", "run(['ls'], shell=False)", "model.eval()"]
)
def test_the_scan_lets_the_rest_pass(code):
    assert not list(broken_rules(ast.parse(code)))


@EVERY
def test_no_forbidden_code(path):
    assert not list(broken_rules(ast.parse(path.read_text())))


def test_the_scan_covers_all_packages():
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == set(PACKAGES)
    assert len(FILES) > 30


def test_files_stay_short():
    others = [path for folder in ("tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    assert [path for path in FILES + others if len(path.read_text().splitlines()) > LONGEST] == []


@EVERY
def test_public_names_exist_and_are_documented(path):
    """All of ``__all__`` exists; each function and class in it has a docstring of its own, and so has the module."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    module = importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    assert (module.__doc__ or "").strip()
    names = getattr(module, "__all__", [])
    assert len(set(names)) == len(names)
    for name in names:
        thing = getattr(module, name)
        if inspect.isroutine(thing) or inspect.isclass(thing):
            assert (inspect.unwrap(thing).__dict__.get("__doc__") or thing.__doc__ or "").strip(), name
        if inspect.isclass(thing):
            for base in thing.__mro__[1:]:
                assert thing.__doc__ != base.__doc__, f"{name} has the docstring of {base.__name__}"
            for member, function in vars(thing).items():
                if inspect.isfunction(function) and not member.startswith("_"):
                    assert (function.__doc__ or "").strip(), f"{name}.{member}"


def test_public_modules_say_what_is_public():
    """A module without underscore that defines public functions or classes has ``__all__``."""
    for path in FILES:
        tree = ast.parse(path.read_text())
        defined = [node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
        assigned = [dotted(node.targets[0]) for node in tree.body if isinstance(node, ast.Assign)]
        hidden = any(part.startswith("_") and part != "__init__.py" for part in path.relative_to(ROOT).parts)
        if not hidden and any(not name.startswith("_") for name in defined):
            assert "__all__" in assigned, path


@pytest.mark.parametrize(
    "module",
    ["dynamics, dynamics.double_descent, figures, figures.cli", "dynamics.results, dynamics.times, dynamics.threads"],
)
def test_light_imports_stay_light(module):
    heavy = ("numba", "matplotlib", "sympy", "xarray", "pandas")
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_the_version_is_the_same_everywhere():
    citation = re.search(r"^version: *\"?([^\s\"]+)", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    changes = re.search(r"^## +(\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert citation is not None
    assert changes is not None
    assert dynamics.__version__ == citation[1] == changes[1]
    assert re.fullmatch(r"\d+\.\d+\.\d+", dynamics.__version__)
