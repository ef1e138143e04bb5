"""A small image for tests, made without a registry from Debian's static busybox."""

import io
import subprocess
import tarfile
from pathlib import Path

import docker

BUSYBOX_IMAGE = "fedflow-test-busybox:1"
_BUSYBOX = Path("/bin/busybox")


def ensure_busybox_image(client: docker.APIClient) -> str:
    """Return the name of an image that holds busybox, all its applets, and no default command.

    Raises:
        FileNotFoundError: Debian's package busybox-static is not installed.
    """
    if not client.images(name=BUSYBOX_IMAGE):
        repository, _, tag = BUSYBOX_IMAGE.partition(":")
        client.import_image_from_data(busybox_archive(), repository=repository, tag=tag)
    return BUSYBOX_IMAGE


def busybox_archive(passwd: str = "") -> bytes:
    """Return a root file system as a tar, with these accounts if any."""
    listed = subprocess.run([_BUSYBOX, "--list"], check=True, capture_output=True, text=True)
    # A link of this name would replace the program that all the others point to.
    applets = [name for name in listed.stdout.split() if name != "busybox"]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder, mode in (("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777), ("root", 0o700)):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)
        tar.add(_BUSYBOX, "bin/busybox")
        for applet in applets:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
        if passwd:
            entry = tarfile.TarInfo("etc/passwd")
            entry.size = len(passwd.encode())
            tar.addfile(entry, io.BytesIO(passwd.encode()))
        script = b"#!/no/such/interpreter\n"
        entry = tarfile.TarInfo("bin/broken-script")
        entry.size, entry.mode = len(script), 0o755
        tar.addfile(entry, io.BytesIO(script))
    return buffer.getvalue()
