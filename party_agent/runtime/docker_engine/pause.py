"""Pure: an image of 129 bytes of program whose only process sleeps for ever.

It owns a network namespace and does nothing else; made here because no registry may be
within reach and no compiler is needed for a loop around one system call.
"""

import hashlib
import io
import struct
import tarfile

REPOSITORY = "fedflow-pause"
PROGRAM = "/pause"

_BASE = 0x400000
_HEADERS_BYTES = 64 + 56

_EM_X86_64 = 62
_EM_AARCH64 = 183

# Engine's name of the architecture -> (ELF machine, machine code).
_CODE = {
    "amd64": (
        _EM_X86_64,
        bytes.fromhex("b822000000")  # mov eax, 34 (pause)
        + bytes.fromhex("0f05")  # syscall
        + bytes.fromhex("ebf7"),  # jmp to the beginning
    ),
    "arm64": (
        _EM_AARCH64,
        # arm64 has no pause: ppoll of nothing, without a time-out, waits as well.
        struct.pack(
            "<7I",
            0xD2800000,  # mov x0, 0
            0xD2800001,  # mov x1, 0
            0xD2800002,  # mov x2, 0
            0xD2800003,  # mov x3, 0
            0xD2800928,  # mov x8, 73 (ppoll)
            0xD4000001,  # svc 0
            0x17FFFFFA,  # b to the beginning
        ),
    ),
}


def architectures() -> tuple[str, ...]:
    """Return the engine's names of the architectures for which there is a program."""
    return tuple(_CODE)


def program(architecture: str) -> bytes:
    """Return a static ELF executable that sleeps until it is killed."""
    machine, code = _CODE[architecture]
    size = _HEADERS_BYTES + len(code)
    header = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    header += struct.pack("<HHI", 2, machine, 1)
    header += struct.pack("<QQQ", _BASE + _HEADERS_BYTES, 64, 0)
    header += struct.pack("<IHHHHHH", 0, 64, 56, 1, 0, 0, 0)
    readable_and_executable = 5
    load = struct.pack("<IIQQQQQQ", 1, readable_and_executable, 0, _BASE, _BASE, size, size, 0x1000)
    return header + load + code


def tag(architecture: str) -> str:
    """Return a tag that changes with the program, so that an old image is never reused."""
    return f"{architecture}-{hashlib.sha256(program(architecture)).hexdigest()[:12]}"


def archive(architecture: str) -> bytes:
    """Return a tar of the root file system."""
    data = program(architecture)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo(PROGRAM.removeprefix("/"))
        entry.size = len(data)
        entry.mode = 0o755
        tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
