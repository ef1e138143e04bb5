"""Which settings of a flow server contradict one another, once each is right by itself."""

from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flow_server.settings import ServerSettings

_LAST_PORT = 65535


def contradictions(settings: "ServerSettings") -> dict[str, str]:
    """Return what is wrong, by the setting to change; empty where all fit together."""
    return {
        **_of_times(settings),
        **_of_ports(settings),
        **_of_plain_text(settings),
        **_of_certificates(settings),
        **_of_addresses(settings),
    }


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches `host`, without asking any name server."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _of_times(settings: "ServerSettings") -> dict[str, str]:
    found = {}
    if settings.sweep_s is not None and settings.sweep_s > settings.lost_after_s / 10:
        found["sweep_s"] = (
            f"{settings.sweep_s:g} is too rare to find what is lost after "
            f"lost_after_s={settings.lost_after_s:g}; set {settings.lost_after_s / 10:g} or less"
        )
    if 0 < settings.return_grace_s < settings.longest_spread_s:
        found["return_grace_s"] = (
            f"{settings.return_grace_s:g} ends before the agents of a server that serves many "
            f"have come back, which takes {settings.longest_spread_s:g} s with "
            f"lost_after_s={settings.lost_after_s:g}; set that or more, or 0 for none"
        )
    return found


def _of_ports(settings: "ServerSettings") -> dict[str, str]:
    if settings.http_port == settings.port != 0:
        return {
            "http_port": f"{settings.http_port} is the gRPC port too; choose another, or 0 for any"
        }
    taken = {settings.port, settings.http_port}
    if not settings.insecure:
        taken.add(settings.agents_port)
    relay_port = settings.relay_listens_at[1]
    if settings.relay and relay_port in taken - {0}:
        return {
            "relay_port": f"{relay_port} is taken by another port of this server; choose another, "
            "or 0 for any"
        }
    if not settings.insecure and settings.agents_port in {settings.port, settings.http_port} - {0}:
        return {
            "agents_port": f"{settings.agents_port} is taken by --port or --http-port; choose "
            "another, or 0 for any"
        }
    return {}


def _of_plain_text(settings: "ServerSettings") -> dict[str, str]:
    hosts = {"host": settings.host}
    if settings.relay:
        hosts["relay-host"] = settings.relay_listens_at[0]
    for option, host in hosts.items():
        if settings.insecure and not is_loopback(host):
            return {
                "insecure": f"it serves this machine alone, and --{option} {host} is not its "
                "loopback: use 127.0.0.1, or TLS ('fedflow server init')"
            }
    return {}


def _of_certificates(settings: "ServerSettings") -> dict[str, str]:
    found = {}
    given = (settings.tls_cert, settings.tls_key, settings.tls_ca)
    if any(given) and not all(given):
        found["tls_cert"] = "--tls-cert, --tls-key and --tls-ca belong together; give all three"
    return found


def _of_addresses(settings: "ServerSettings") -> dict[str, str]:
    return {
        field: "must be host:port, or :port"
        for field in ("agents_address", "relay_address")
        if not _is_address(getattr(settings, field))
    }


def _is_address(text: str) -> bool:
    _, colon, port = text.rpartition(":")
    is_port = port.isascii() and port.isdigit() and 0 < int(port) <= _LAST_PORT
    return not text or bool(colon and is_port)
