"""The house: who may import whom, who reads the environment, who reads the truth."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
PARTS = {"habitus", "orchestration", "ingestion", "expectations", "ml", "privacy", "simulator"}
FRAMEWORKS = {"dagster", "dagster_dbt", "dbt"}
FORBIDDEN = {
    "ingestion": (PARTS | FRAMEWORKS) - {"ingestion"},
    "expectations": (PARTS | FRAMEWORKS) - {"expectations"},
    "ml": (PARTS | FRAMEWORKS) - {"ml"},
    "privacy": (PARTS | FRAMEWORKS) - {"privacy"},
    "simulator": (PARTS | FRAMEWORKS) - {"simulator"},
    "orchestration": {"habitus"},
    "habitus": set(),
}
# The bridges: ingestion works to the contract's model, and makes tokens and adds to the vault.
ALLOWED = {("ingestion", "expectations.contract"), ("ingestion", "privacy")}


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module that a syntax tree imports, by full name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


def breaches(part: str, source: str) -> list[str]:
    """Imports in `source` that `part` may not make."""
    return [
        name
        for name in imported(ast.parse(source))
        if name.split(".")[0] in FORBIDDEN[part]
        and not any(
            part == who and (name == what or name.startswith(f"{what}.")) for who, what in ALLOWED
        )
    ]


def python_files(part: str) -> list[Path]:
    return sorted((REPO / part).rglob("*.py"))


@pytest.mark.parametrize("part", sorted(PARTS))
def test_imports(part: str) -> None:
    files = python_files(part)
    assert files
    found = {str(f.relative_to(REPO)): breaches(part, f.read_text()) for f in files}
    assert not {f: b for f, b in found.items() if b}


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("ml", "import dagster"),
        ("ml", "from privacy.tokens import tokenise"),
        ("ingestion", "from expectations.runner import run_suites"),
        ("expectations", "import ingestion"),
        ("simulator", "def f():\n    from ml import registry"),
        ("orchestration", "from habitus import connect"),
        ("ingestion", "import dbt.adapters"),
        ("privacy", "from ingestion import Paths"),
        ("privacy", "import dagster"),
        ("simulator", "from privacy.masking import mask"),
    ],
)
def test_a_forbidden_import_is_seen(part: str, source: str) -> None:
    assert breaches(part, source)


def test_ingestion_may_import_the_contract() -> None:
    assert not breaches("ingestion", "from expectations.contract.model import Contract")


def uses_environment(source: str) -> bool:
    """Whether a module reads or sets environment variables."""
    return any(
        isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv", "putenv"}
        for node in ast.walk(ast.parse(source))
    )


# Passing the whole environment on to a child process is not reading a setting.
CHILD_PROCESSES = {f"orchestration/lib/dbt_{name}.py" for name in ("steps", "server", "client")}


def test_only_config_reads_the_environment() -> None:
    readers = {
        str(f.relative_to(REPO))
        for part in PARTS
        for f in python_files(part)
        if uses_environment(f.read_text())
    }
    assert readers - CHILD_PROCESSES == {"orchestration/config.py"}


# The truth is written by the simulator and read by evaluation; settings only say where it lies.
MAY_KNOW_TRUTH = {
    "orchestration/config.py",
    "orchestration/lib/evaluation.py",
    "habitus/cli.py",
    "habitus/demo.py",
    # Names it among what no contract may read.
    "ingestion/files.py",
}


def names_truth(source: str) -> bool:
    """Whether a module uses `<something>.truth` or a path named truth."""
    tree = ast.parse(source)
    return any(
        (isinstance(node, ast.Attribute) and node.attr == "truth")
        or (isinstance(node, ast.Constant) and node.value == "truth")
        for node in ast.walk(tree)
    )


def test_only_evaluation_reads_the_truth() -> None:
    readers = {
        name
        for part in PARTS - {"simulator"}
        for f in python_files(part)
        if names_truth(f.read_text())
        and not (name := str(f.relative_to(REPO))).startswith("ml/evaluation/")
    }
    assert readers <= MAY_KNOW_TRUTH
    assert not [f for f in (REPO / "dbt_project").rglob("*.sql") if "truth" in f.read_text()]


def test_reading_the_truth_is_seen() -> None:
    assert names_truth("frame = read(habitus.truth / 'hazards.parquet')")
    assert names_truth("path = home / 'truth'")


def test_every_module_says_what_does_not_belong_there() -> None:
    silent = [
        str(f.relative_to(REPO))
        for part in PARTS
        for f in python_files(part)
        if f.read_text().strip()
        and f.name != "__init__.py"
        and "belong" not in (ast.get_docstring(ast.parse(f.read_text())) or "")
    ]
    assert not silent
