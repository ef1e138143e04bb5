"""Builds the images in which real frameworks run, on an engine that reaches no registry.

    framework_images.py [torch|iflearner|flower|EXAMPLE …]      all, if none are named

What they hold is pinned in scripts/images/: a framework itself by the hash of its wheel, so that
it is what its authors published. They share the layer of torch. An image is left as it is while
what went into it is unchanged. Exit 3: no engine answers.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

import docker
import rootfs
from base_image import (
    BUILD_TIMEOUT_S,
    LEFT_OUT_OF_PACKAGES,
    NO_ENGINE,
    ROOT,
    build_base,
    build_packages,
    derive,
)
from docker.errors import APIError, DockerException
from layers import Layer, tree
from packages import CACHE, pip, requirements_of_examples

PINS = Path(__file__).parent / "images"
TORCH_IMAGE = "fedflow-torch:2.13.0"

_SCRIPT = """#!/usr/local/bin/python3
import sys
from {module} import {name}
sys.exit({call}())
"""


@dataclass(frozen=True, kw_only=True)
class Framework:
    """A framework by its wheel's name, what its image is called, and whether that has torch."""

    wheel: str
    image: str
    has_torch: bool


FRAMEWORKS = {
    "iflearner": Framework(wheel="iflearner", image="fedflow-iflearner:0.1.0", has_torch=True),
    "flower": Framework(wheel="flwr", image="fedflow-flower:1.42.0", has_torch=False),
}


EXAMPLES = {
    "iflearner_digits": "iflearner",
    "flower_digits": "flower",
    "gloo_allreduce": "torch",
}
"""The examples whose images hold a framework and their own folder, at /app."""


def main(wanted: list[str]) -> int:
    """Build what is wanted; print one line per image. Returns the exit status."""
    try:
        engine = docker.from_env(timeout=BUILD_TIMEOUT_S)
        engine.ping()
    except DockerException:
        print("no Docker Engine answers: no image is built", file=sys.stderr)
        return NO_ENGINE
    try:
        base = build_base(engine)
        for name in wanted or ["torch", *FRAMEWORKS, *EXAMPLES]:
            print(build(engine, base, name))
    except (rootfs.UnfitError, APIError) as problem:
        print(f"can't build the image: {problem}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError:
        return 1  # pip has said why
    finally:
        engine.close()
    return 0


def build(engine: docker.DockerClient, base: str, name: str) -> str:
    """Build the image of torch, of a framework or an example. Returns the image's name."""
    if name in EXAMPLES:
        below = build(engine, base, EXAMPLES[name])
        files = tree(ROOT / "examples" / name, "files/app", left_out=("flow.yaml", "__pycache__"))
        image = f"fedflow-{name.replace('_', '-')}:example"
        return derive(engine, below, Layer(files=files), image, workdir="/app")
    if name == "torch":
        return build_packages(engine, base, requirements_of_examples("numpy", "torch"), TORCH_IMAGE)
    framework = FRAMEWORKS[name]
    below = build(engine, base, "torch") if framework.has_torch else base
    made = _installed(name, framework)
    packages = tree(made / "site", f"files/{rootfs.SITE}", left_out=LEFT_OUT_OF_PACKAGES)
    programs = tree(made / "programs", "files/usr/local/bin")
    return derive(engine, below, Layer(files=packages | programs), framework.image, workdir="/")


def _installed(name: str, framework: Framework) -> Path:
    """Return a folder of packages and programs; made once, then reused."""
    files = [PINS / f"{name}.txt", PINS / f"{name}-itself.txt"]
    key = "\n".join([*(path.read_text() for path in files), _SCRIPT, sys.version, sys.platform])
    made = CACHE / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    if made.exists():
        return made
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        site = Path(scratch) / "made" / "site"
        for path in files:
            # Each is named with its version, so that nothing is left to a resolver.
            pip("install", "--quiet", "--no-deps", "--upgrade", "--target", str(site),
                "--requirement", str(path))  # fmt: skip
        _write_programs(site, framework.wheel, site.parent / "programs")
        # Renamed when complete: an interrupted download is not taken for an installation.
        shutil.move(site.parent, made)
    return made


def _write_programs(site: Path, wheel: str, to: Path) -> None:
    """Write the commands that the wheel declares, for the image's own Python."""
    [declared] = site.glob(f"{wheel}-*.dist-info/entry_points.txt")
    parser = ConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(declared)
    to.mkdir()
    for program, target in parser["console_scripts"].items():
        module, _, call = target.partition(":")
        script = to / program
        script.write_text(_SCRIPT.format(module=module, name=call.partition(".")[0], call=call))
        script.chmod(0o755)


if __name__ == "__main__":
    known = ("torch", *FRAMEWORKS, *EXAMPLES)
    if unknown := set(sys.argv[1:]) - set(known):
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    sys.exit(main(sys.argv[1:]))
