"""Every promise of docs/guarantees.md names tests that hold it, and they exist."""

import ast
import re

from tests.arch.repository import ROOT, text, tree

PAGE = "docs/guarantees.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def promises():
    for line in text(PAGE).splitlines():
        if line.startswith("| ") and not line.startswith(("| promise", "| fault")):
            yield line


def test_every_promise_names_the_test_that_holds_it():
    assert list(promises())
    assert [line for line in promises() if not NAMED.search(line)] == []


def test_every_named_test_exists():
    missing = [
        f"{path}::{name}"
        for path, name in NAMED.findall(text(PAGE))
        if not (ROOT / path).is_file() or name not in functions(path)
    ]
    assert missing == []


def functions(path):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree(path)) if isinstance(node, kinds)}
