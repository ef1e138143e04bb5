"""Where a flow server is: the checked form of `host` and `port`."""

import ipaddress

MAX_PORT = 65_535


def join(host: str, port: str | int) -> str:
    """Return `host:port` as gRPC wants it, an IPv6 host in brackets.

    Raises:
        TypeError: host is not a string, or port neither a string nor an int.
        ValueError: host is empty or a URL, or port is not a number from 1 to 65535.
    """
    if not isinstance(host, str):
        raise TypeError(f"host: must be a string, not {type(host).__name__}")
    if isinstance(port, bool) or not isinstance(port, str | int):
        raise TypeError(f"port: must be a string or an int, not {type(port).__name__}")
    name = host.strip().removeprefix("[").removesuffix("]")
    if not name or "/" in name or any(letter.isspace() for letter in name):
        raise ValueError(f"host: {host!r} must be a host name or an IP address, nothing around it")
    if ":" in name and not _is_ipv6(name):
        raise ValueError(f"host: {host!r} holds a colon; give the port as `port`")
    digits = str(port).strip()
    if not (digits.isascii() and digits.isdigit() and 1 <= int(digits) <= MAX_PORT):
        raise ValueError(f"port: {port!r} must be a number from 1 to {MAX_PORT}")
    return f"[{name}]:{int(digits)}" if ":" in name else f"{name}:{int(digits)}"


def is_loopback(address: str) -> bool:
    """Say whether `address`, as `join` made it, is this machine's own."""
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_ipv6(name: str) -> bool:
    try:
        ipaddress.IPv6Address(name)
    except ValueError:
        return False
    return True
