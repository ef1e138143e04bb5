"""What the repository holds: its files and the syntax trees of its Python."""

import ast
import functools
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# What runs at users and sites; tests, scripts, bench and examples are under milder rules.
PRODUCT = ("sdk/", "flow_server/", "party_agent/", "migrations/")


@functools.cache
def files():
    """Relative paths of all tracked files, and of new ones that git does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    return sorted(path for path in set(listed.split("\0")) if path and (ROOT / path).is_file())


def is_generated(path):
    return "_pb2" in path


def python_files(*roots):
    """Written Python below `roots` (all of it by default)."""
    return [
        path
        for path in files()
        if path.endswith(".py") and not is_generated(path) and path.startswith(roots or "")
    ]


@functools.cache
def text(path):
    """The file's text; "" if it is binary."""
    try:
        return (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


@functools.cache
def tree(path):
    return ast.parse(text(path), filename=path)


def imported(path):
    """Every imported name with its line, wherever in the file: `os`, `os.path.join`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
