"""The programs that docs/workloads.md shows, taken off the page."""

import re
import shutil
import subprocess

import pytest

from tests.arch.repository import text


def program(language):
    """Return the page's one program in this language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", text("docs/workloads.md"), re.DOTALL)
    return found


def compiled(folder):
    """Return the C program, compiled so that any image can run it."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    source, built = folder / "workload.c", folder / "workload"
    source.write_text(program("c"))
    options = ("-static", "-Wall", "-Werror", "-o", built)
    subprocess.run([compiler, *options, source], check=True, timeout=120)
    built.chmod(0o755)
    return built
