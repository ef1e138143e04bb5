import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """A directory that an unprivileged account can pass; pytest's own are closed to it."""
    directory = Path(tempfile.mkdtemp(prefix="fedflow-tests-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)
