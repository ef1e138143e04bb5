"""The image of the containers, made from the local Python, on each engine of a place."""

import subprocess
import sys
from pathlib import Path

import docker

PYTHON_IMAGE = f"fedflow-python:{sys.version_info.major}.{sys.version_info.minor}"
_SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "base_image.py"


def ensure_python_image() -> None:
    """Build it on the engine that everybody uses, unless it is there."""
    subprocess.run([sys.executable, str(_SCRIPT)], check=True, capture_output=True)


def hand_over(source: docker.APIClient, target: docker.APIClient) -> None:
    """Load it into another engine."""
    target.load_image(source.get_image(PYTHON_IMAGE))
