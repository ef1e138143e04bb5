"""The files of a root file system around the local Python, for an image made without a registry.

Pure listing: nothing is copied here. Python goes to /usr/local, where a user other than root
may run it; with it go the shared libraries that it and its modules load, the loader, name
resolution, CA certificates and busybox for a shell.
"""

import os
import re
import ssl
import subprocess
import sys
import sysconfig
from pathlib import Path

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
SITE = f"usr/local/lib/python{VERSION}/site-packages"

# Parts of the standard library that a workload has no use for: 40 MB of tests, windows, C.
LEFT_OUT = {
    "site-packages",
    "dist-packages",
    "test",
    "tests",
    "idlelib",
    "idle_test",
    "tkinter",
    "turtledemo",
    "ensurepip",
    "lib2to3",
}
LEFT_OUT_PREFIXES = ("config-",)
LEFT_OUT_SUFFIXES = (".opt-1.pyc", ".opt-2.pyc", ".a", ".orig")

# Loaded at run time by name, so that ldd on Python does not show them: glibc's stubs and the
# C++ run time that wheels such as torch link to, and the modules behind getaddrinfo.
LOADED_BY_NAME = (
    "libdl.so.2",
    "libutil.so.1",
    "librt.so.1",
    "libpthread.so.0",
    "libm.so.6",
    "libstdc++.so.6",
    "libgcc_s.so.1",
    "libnss_dns.so.2",
    "libnss_files.so.2",
    "libresolv.so.2",
)

# busybox's own lookups crash when it is linked statically, so nslookup and ping stay out.
APPLETS = (
    "sh", "ls", "cat", "cp", "mv", "rm", "mkdir", "rmdir", "ln", "echo", "env", "true", "false",
    "test", "sleep", "date", "id", "whoami", "pwd", "head", "tail", "wc", "grep", "sed", "awk",
    "sort", "uniq", "cut", "tr", "find", "xargs", "touch", "chmod", "chown", "du", "df", "ps",
    "kill", "tee", "seq", "printenv", "uname", "hostname", "sha256sum", "tar", "gzip", "gunzip",
    "stat", "basename", "dirname", "mktemp", "which", "yes", "nproc", "free", "dd",
)  # fmt: skip

PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n"
GROUP = "root:x:0:\nnogroup:x:65534:\n"
NSSWITCH = "passwd: files\ngroup: files\nhosts: files dns\n"


class UnfitError(Exception):
    """This machine lacks something that the image needs; the text says what to install."""


def python_files() -> dict[str, Path]:
    """Return the interpreter and its standard library: path in the image -> path here."""
    interpreter = Path(sys.executable).resolve()
    stdlib = Path(sysconfig.get_path("stdlib")).resolve()
    files = {f"usr/local/bin/python{VERSION}": interpreter}
    for folder, names, leaves in os.walk(stdlib):
        names[:] = sorted(
            n for n in names if n not in LEFT_OUT and not n.startswith(LEFT_OUT_PREFIXES)
        )
        inside = Path(folder).relative_to(stdlib)
        for leaf in sorted(leaves):
            if not leaf.endswith(LEFT_OUT_SUFFIXES):
                path = Path(folder, leaf)
                files[str(Path("usr/local/lib", f"python{VERSION}") / inside / leaf)] = path
    return {target: source for target, source in files.items() if source.exists()}


def libraries(binaries: list[Path]) -> dict[str, Path]:
    """Return all shared libraries that `binaries` load, the loader included.

    They lie where the loader looks without a cache: in the folder of the same name, or
    in /usr/local/lib for those that live elsewhere here.
    """
    listing = subprocess.run(
        ["ldd", *map(str, binaries)], capture_output=True, text=True, check=False
    ).stdout
    missing = sorted(set(re.findall(r"^\s*(\S+) => not found", listing, re.MULTILINE)))
    if missing:
        raise UnfitError(f"Python needs shared libraries that are not here: {', '.join(missing)}")
    found = {Path(p) for p in re.findall(r"(?:=> )?(/\S+) \(0x", listing)}
    libc_folder = next(p.parent for p in found if p.name == "libc.so.6")
    found.update(p for name in LOADED_BY_NAME if (p := libc_folder / name).exists())
    for name in ("libstdc++.so.6", "libgcc_s.so.1"):
        if not (libc_folder / name).exists():
            found.update(sorted(Path("/usr/lib").glob(f"*/{name}"))[:1])
    return {_library_target(path): path.resolve() for path in sorted(found)}


def _library_target(path: Path) -> str:
    if str(path).startswith(("/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/")):
        return str(path).removeprefix("/usr").lstrip("/")
    return f"usr/local/lib/{path.name}"


def certificates() -> Path:
    """Return this machine's CA bundle. Raises UnfitError if it has none."""
    paths = ssl.get_default_verify_paths()
    candidates = (paths.cafile, paths.openssl_cafile, "/etc/ssl/certs/ca-certificates.crt")
    for candidate in candidates:
        if candidate and Path(candidate).is_file():
            return Path(candidate)
    raise UnfitError("there is no CA bundle here: install ca-certificates")


def busybox() -> Path:
    """Return a statically linked busybox. Raises UnfitError if there is none."""
    for candidate in (Path("/bin/busybox"), Path("/usr/bin/busybox")):
        if candidate.exists():
            linked = subprocess.run(["ldd", str(candidate)], capture_output=True, check=False)
            if linked.returncode != 0:
                return candidate.resolve()
    raise UnfitError("there is no static busybox here: install busybox-static")


def base_files() -> dict[str, Path]:
    """Return every regular file of the image: path in the image -> path here."""
    python = python_files()
    modules = [p for t, p in python.items() if ".so" in p.name or t.startswith("usr/local/bin/")]
    return {
        **python,
        **libraries(modules),
        "etc/ssl/certs/ca-certificates.crt": certificates(),
        "bin/busybox": busybox(),
    }


def base_texts() -> dict[str, str]:
    """Return the small files that are written, not copied: path in the image -> text."""
    return {"etc/passwd": PASSWD, "etc/group": GROUP, "etc/nsswitch.conf": NSSWITCH}


def base_links() -> dict[str, str]:
    """Return the symbolic links: path in the image -> where it points."""
    lib = f"usr/local/lib/python{VERSION}"
    return {
        **{f"bin/{applet}": "busybox" for applet in APPLETS},
        "usr/local/bin/python3": f"python{VERSION}",
        "usr/local/bin/python": f"python{VERSION}",
        "usr/bin/env": "../../bin/busybox",
        # Debian's Python looks for packages under this name, all others under site-packages.
        f"{lib}/dist-packages": "site-packages",
        "usr/local/lib64": "lib",
    }
