"""House rules that no linter knows, each exception listed with its reason."""

import ast
import re

import pytest

from tests.arch.repository import PRODUCT, files, imported, python_files, text, tree

MAX_LINES = 300

# path -> (lines, reason)
LONGER = {
    "tests/runtime/suite.py": (470, "one behaviour suite that every runtime inherits whole"),
    "tests/runtime/test_process.py": (400, "what plain processes make hard, beside the suite"),
    "tests/storage/test_constraints.py": (410, "one refused insert per rule of the schema"),
}

# A path, or a folder that ends in "/" -> reason.
MAY_CATCH_EVERYTHING = {
    "flow_server/grpc_api/events.py": "a call that is ended anyway may end by itself meanwhile",
    "flow_server/loops/supervisor.py": "logs a duty's failure and begins the duty again",
    "party_agent/link.py": "logs a session's failure and opens the next",
    "party_agent/retention.py": "logs a cleaning's failure and goes on with the next",
    "party_agent/unit_loop.py": "logs one unit's failure so that the others go on",
}
MAY_READ_THE_ENVIRONMENT = {
    "flow_server/settings.py": "the server's settings",
    "party_agent/settings.py": "the agent's settings",
    "sdk/flow_server_sdk/known_servers.py": "tokens and CAs may come from the environment",
    "sdk/flow_worker/": "its environment is how a workload is told what it is",
}
# Where the words themselves are what is meant.
MAY_NAME_LEFTOVERS = {"pyproject.toml": "says that there are none"}

# In pieces, so that this file does not name what it forbids.
MACHINE_PATHS = re.compile(r"/ro" r"ot/|\.py" r"env|(?<![\w.])/wo" r"rk/")
PACKAGE_HOSTS = re.compile(r"py" r"pi\.org|python" r"hosted\.org")
LEFTOVERS = re.compile(r"\b(?:TO" r"DO|FIX" r"ME)\b")


def is_listed(path, listed):
    return any(path == entry or (entry[-1] == "/" and path.startswith(entry)) for entry in listed)


def not_listed(paths, listed):
    return [path for path in paths if not is_listed(path, listed)]


def matches(pattern, paths):
    return [
        f"{path}:{number}: {line.strip()[:80]}"
        for path in paths
        for number, line in enumerate(text(path).splitlines(), start=1)
        if pattern.search(line)
    ]


def test_there_is_something_to_look_at():
    assert "sdk/flow_contract/lifecycle.py" in python_files(*PRODUCT)
    assert "tests/arch/test_layout.py" in files()


def test_no_file_is_longer_than_300_lines_unless_listed_with_a_reason():
    too_long = {
        path: lines
        for path in python_files()
        if (lines := text(path).count("\n")) > LONGER.get(path, (MAX_LINES, ""))[0]
    }
    assert too_long == {}


def test_nothing_is_listed_as_longer_that_is_not():
    assert [path for path in LONGER if text(path).count("\n") <= MAX_LINES] == []


def test_every_file_says_its_duty_in_its_first_line():
    silent = [
        path
        for path in python_files(*PRODUCT)
        if not ast.get_docstring(tree(path)) and not path.startswith("migrations/")
    ]
    assert silent == []


BROAD = {"Exception", "BaseException"}
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb"}


def broad_catches(source):
    """Lines that catch everything and do not pass it on."""
    return [node.lineno for node in ast.walk(source) if _catches_all(node)]


def _catches_all(node):
    if isinstance(node, ast.Call):
        suppresses = _last_name(node.func) == "suppress"
        return suppresses and any(_last_name(argument) in BROAD for argument in node.args)
    if not isinstance(node, ast.ExceptHandler):
        return False
    passes_on = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
    if node.type is None:
        return not passes_on
    return not passes_on and any(_last_name(name) in BROAD for name in ast.walk(node.type))


def environment_reads(source):
    """Lines that touch the process environment through `os`."""
    return [node.lineno for node in ast.walk(source) if _reads_environment(node)]


def _reads_environment(node):
    if isinstance(node, ast.Attribute):
        return node.attr in ENVIRONMENT and _last_name(node.value) == "os"
    if isinstance(node, ast.ImportFrom):
        return node.module == "os" and any(alias.name in ENVIRONMENT for alias in node.names)
    return False


def _last_name(node):
    return getattr(node, "attr", getattr(node, "id", None))


def test_nothing_catches_everything_but_the_listed_supervisors():
    caught = [
        f"{path}:{line}"
        for path in not_listed(python_files(*PRODUCT), MAY_CATCH_EVERYTHING)
        for line in broad_catches(tree(path))
    ]
    assert caught == []


def test_no_module_reads_the_environment_but_the_settings():
    read = [
        f"{path}:{line}"
        for path in not_listed(python_files(*PRODUCT), MAY_READ_THE_ENVIRONMENT)
        for line in environment_reads(tree(path))
    ]
    assert read == []


def test_docker_is_imported_only_by_the_docker_runtime():
    importing = [
        f"{path}:{line}"
        for path in python_files(*PRODUCT)
        for name, line in imported(path)
        if name.split(".")[0] == "docker" and not path.startswith("party_agent/runtime/docker")
    ]
    assert importing == []


def test_nothing_is_patched():
    patching = [
        f"{path}:{line}"
        for path in python_files()
        for name, line in imported(path)
        if name.split(".")[:2] == ["unittest", "mock"]
        or name.split(".")[0] in {"mock", "pytest_mock"}
    ]
    assert patching == []


def test_no_file_names_a_path_of_somebodys_machine():
    assert matches(MACHINE_PATHS, files()) == []


def test_no_file_names_a_package_host():
    assert matches(PACKAGE_HOSTS, files()) == []


def test_nothing_is_left_for_later():
    assert matches(LEFTOVERS, not_listed(files(), MAY_NAME_LEFTOVERS)) == []


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("try:\n    f()\nexcept Exception:\n    pass", [3]),
        ("try:\n    f()\nexcept (ValueError, BaseException) as error:\n    log(error)", [3]),
        ("try:\n    f()\nexcept:\n    pass", [3]),
        ("try:\n    f()\nexcept builtins.Exception:\n    g()", [3]),
        ("with contextlib.suppress(Exception):\n    f()", [1]),
        ("try:\n    f()\nexcept BaseException:\n    g()\n    raise", []),
        ("try:\n    f()\nexcept ValueError:\n    pass", []),
    ],
)
def test_the_search_for_broad_catches_finds_what_it_should(source, lines):
    assert broad_catches(ast.parse(source)) == lines


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("import os\nos.environ['A']", [2]),
        ("import os\nos.getenv('A')", [2]),
        ("from os import environ", [1]),
        ("from os import path", []),
        ("self.environ['A']", []),
    ],
)
def test_the_search_for_environment_reads_finds_what_it_should(source, lines):
    assert environment_reads(ast.parse(source)) == lines
