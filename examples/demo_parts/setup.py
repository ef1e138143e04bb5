"""What has to be there before the demo starts: data for each party, and an image or packages."""

import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FEDAVG = ROOT / "examples" / "fedavg_digits"
PACKAGES = {"numpy": ("numpy",), "torch": ("numpy", "torch")}
# That of torch is shared with whatever else stands on it.
PACKAGES_IMAGES = {"numpy": "fedflow-numpy:any", "torch": "fedflow-torch:2.13.0"}


class SetupError(Exception):
    """Something that the demo needs can't be had here; the text says what."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What the template says, and where each party's own data lie, in the parties' order.

    `program` is the start of every command, `test` where the public test set lies for it.
    """

    workload: str
    runtime: str
    image_url: str
    workdir: str
    program: tuple[str, ...]
    test: str
    data: tuple[Path, ...]

    @property
    def described(self) -> str:
        """Say in what the parties run."""
        if self.runtime == "docker":
            return f"in Docker containers of {self.image_url}"
        return "as plain processes (no Docker Engine is used, nothing is isolated)"


def prepare(folder: Path, *, workload: str, runtime: str, parties: int) -> Setup:
    """Make everything ready below `folder`; `runtime` auto means Docker where an engine answers.

    Raises:
        SetupError: Docker was asked for and does not answer, or packages can't be installed.
    """
    if runtime == "auto":
        runtime = "docker" if _engine_answers() else "process"
    folder = folder / "data"
    data = _data(folder, parties)
    if runtime == "docker":
        return Setup(
            workload=workload,
            runtime=runtime,
            image_url=_image(workload, folder / "test.npz"),
            workdir="/app",
            program=("python3", "fedavg.py"),
            test="/app/test.npz",
            data=data,
        )
    _run("scripts/packages.py", *_requirements(workload))
    return Setup(
        workload=workload,
        runtime=runtime,
        image_url="none",
        workdir="",
        program=(sys.executable, str(FEDAVG / "fedavg.py")),
        test=str(folder / "test.npz"),
        data=data,
    )


def _engine_answers() -> bool:
    command = [sys.executable, "scripts/engine_answers.py"]
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def _data(folder: Path, parties: int) -> tuple[Path, ...]:
    shares = _run("examples/fedavg_digits/split.py", str(folder), str(parties)).split("\n")
    return tuple(Path(share) for share in shares if share)


def _image(workload: str, test: Path) -> str:
    name = f"fedflow-fedavg:{workload}"
    _run(
        "scripts/base_image.py",
        *("--with", *_requirements(workload)),
        *("--packages-name", PACKAGES_IMAGES[workload]),
        *("--copy", f"{FEDAVG / 'fedavg.py'}=/app/fedavg.py", f"{test}=/app/test.npz"),
        *("--name", name),
    )
    return name


def _requirements(workload: str) -> list[str]:
    """Return the workload's requirements as pyproject.toml states them for the examples."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [
        line
        for line in project["optional-dependencies"]["examples"]
        if line.startswith(PACKAGES[workload])
    ]


def _run(script: str, *arguments: str) -> str:
    """Run one of our scripts and return what it printed; what it tells people is passed on."""
    done = subprocess.run(
        [sys.executable, script, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SetupError(f"{script} failed; its reason stands above")
    return done.stdout.strip()
