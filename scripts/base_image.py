"""Builds images from the Python that runs this, on an engine that reaches no registry.

    base_image.py                                     fedflow-python:<major.minor>
    base_image.py --with numpy --name my:tag          … with packages
    base_image.py --with numpy --copy train.py=app/train.py --name my:tag     … and files

The versions of packages are those of constraints.txt. An image is left as it is while what
went into it is unchanged. Exit 3: no engine answers.
"""

import argparse
import contextlib
import subprocess
import sys
import time
from pathlib import Path

import docker
import rootfs
from docker.errors import APIError, DockerException, ImageNotFound
from layers import Layer, tree
from packages import install

ROOT = Path(__file__).resolve().parents[1]
BASE_NAME = f"fedflow-python:{rootfs.VERSION}"
LABEL = "org.fedflow.inputs"
NO_ENGINE = 3
BUILD_TIMEOUT_S = 900

# What a running program never opens.
LEFT_OUT_OF_PACKAGES = ("bin", "share", "torch/include", "torch/share", "torch/test")

DOCKERFILE = "FROM {base}\nCOPY files/ /\nWORKDIR {workdir}\nLABEL {label}={digest}\n"


def main() -> int:
    """Build what the arguments ask for; print one line per image. Returns the exit status."""
    options = _options()
    try:
        engine = docker.from_env(timeout=BUILD_TIMEOUT_S)
        engine.ping()
    except DockerException:
        print("no Docker Engine answers: no image is built", file=sys.stderr)
        return NO_ENGINE
    try:
        name = build_base(engine)
        if options.packages:
            name = build_packages(engine, name, options.packages, _packages_name(options))
        if options.copy:
            name = build_copy(engine, name, options.copy, options.name)
    except (rootfs.UnfitError, APIError) as problem:
        print(f"can't build the image: {problem}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError:
        return 1  # pip has said why
    finally:
        engine.close()
    print(name)
    return 0


def build_base(engine: docker.DockerClient) -> str:
    """Build fedflow-python from the local Python, or find it there. Returns its name."""
    layer = Layer(
        files=rootfs.base_files(),
        texts=rootfs.base_texts(),
        links=rootfs.base_links(),
        folders={"tmp": 0o1777, "root": 0o700, "proc": 0o755, "sys": 0o755, "dev": 0o755,
                 rootfs.SITE: 0o755},
    )  # fmt: skip
    digest = layer.digest()
    if is_current(engine, BASE_NAME, digest):
        return BASE_NAME
    old = image_id(engine, BASE_NAME)
    started = time.monotonic()
    repository, tag = BASE_NAME.split(":")
    with layer.stream() as archive:
        engine.api.import_image(
            src=archive,
            repository=repository,
            tag=tag,
            changes=[
                f"LABEL {LABEL}={digest}",
                "ENV PATH=/usr/local/bin:/usr/bin:/bin",
                "ENV LD_LIBRARY_PATH=/usr/local/lib",
                "ENV LANG=C.UTF-8",
                "ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
                "ENV PYTHONUNBUFFERED=1",
                'CMD ["python3"]',
            ],
        )
    _finish(engine, BASE_NAME, old, started)
    return BASE_NAME


def build_packages(engine: docker.DockerClient, base: str, packages: list[str], name: str) -> str:
    """Build `name`: `base` with `packages` installed. Returns `name`."""
    site = install(packages, constraints=ROOT / "constraints.txt")
    files = tree(site, f"files/{rootfs.SITE}", left_out=LEFT_OUT_OF_PACKAGES)
    return derive(engine, base, Layer(files=files), name, workdir="/")


def build_copy(engine: docker.DockerClient, base: str, copies: list[str], name: str) -> str:
    """Build `name`: `base` with the files `SOURCE=TARGET` copied in. Returns `name`."""
    files = {}
    for copy in copies:
        source, target = copy.split("=", 1)
        files[f"files/{target.lstrip('/')}"] = Path(source)
    workdir = "/" + str(Path(copies[0].split("=", 1)[1].lstrip("/")).parent)
    return derive(engine, base, Layer(files=files), name, workdir=workdir)


def derive(engine: docker.DockerClient, base: str, layer: Layer, name: str, *, workdir: str) -> str:
    """Build `name`: `base` and the layer's files, which lie below `files/`. Returns `name`."""
    digest = layer.digest(str(engine.images.get(base).id), workdir)
    if is_current(engine, name, digest):
        return name
    old = image_id(engine, name)
    started = time.monotonic()
    dockerfile = DOCKERFILE.format(base=base, workdir=workdir, label=LABEL, digest=digest)
    context = Layer(files=layer.files, texts={"Dockerfile": dockerfile})
    with context.stream() as archive:
        steps = engine.api.build(
            fileobj=archive, custom_context=True, tag=name, rm=True, decode=True
        )
        for step in steps:
            if "error" in step:
                raise rootfs.UnfitError(step["error"])
    _finish(engine, name, old, started)
    return name


def is_current(engine: docker.DockerClient, name: str, digest: str) -> bool:
    """Tell whether the engine holds `name`, made from the inputs of this digest."""
    try:
        return bool(engine.images.get(name).labels.get(LABEL) == digest)
    except ImageNotFound:
        return False


def image_id(engine: docker.DockerClient, name: str) -> str:
    """Return the id of the image `name`, "" if there is none."""
    try:
        return str(engine.images.get(name).id)
    except ImageNotFound:
        return ""


def _finish(engine: docker.DockerClient, name: str, old_id: str, started_s: float) -> None:
    """Remove the image that had the name before, and say what was built."""
    image = engine.images.get(name)
    if old_id not in {"", image.id}:
        # Containers and images made from it may still need it; they keep it then.
        with contextlib.suppress(APIError):
            engine.images.remove(old_id)
    took_s = time.monotonic() - started_s
    print(f"built {name}: {image.attrs['Size'] / 1e6:.0f} MB in {took_s:.0f} s", file=sys.stderr)


def _packages_name(options: argparse.Namespace) -> str:
    """Files go into an image of their own, so that changing one doesn't move the packages."""
    if not options.copy:
        return str(options.name)
    return str(options.packages_name or f"{options.name}-packages")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--with", dest="packages", nargs="+", default=[], metavar="REQUIREMENT")
    parser.add_argument("--copy", nargs="+", default=[], metavar="SOURCE=TARGET")
    parser.add_argument("--name", help="name:tag of the image made by --with and --copy")
    parser.add_argument("--packages-name", help="the image below the files: NAME-packages")
    options = parser.parse_args()
    if (options.packages or options.copy) and not options.name:
        parser.error("--with and --copy need a --name")
    return options


if __name__ == "__main__":
    sys.exit(main())
