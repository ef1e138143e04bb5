"""A user's `--database-url`: checked here, and never shown with its password."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from flow_contract.errors import InvalidArgument, Kind

_SCHEMES = ("postgresql", "postgres")
_CONNECT_TIMEOUT_S = 10.0
_NO_LIMIT_S = 0.0


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a PostgreSQL is. `shown` is what people may see; `url` may hold a password.

    `settings` are server settings that the user chose in the URL; they win over ours.
    """

    shown: str
    url: str = field(repr=False)
    connect_timeout_s: float = _CONNECT_TIMEOUT_S
    settings: frozenset[str] = frozenset()

    def connect_args(self, settings: dict[str, str] | None = None) -> dict[str, Any]:
        """Return what asyncpg.connect takes; holds the password, so never show it."""
        chosen = {
            name: value for name, value in (settings or {}).items() if name not in self.settings
        }
        return {"dsn": self.url, "timeout": self.connect_timeout_s, "server_settings": chosen}


def parse(url: str) -> Address:
    """Return the address that `url` names: postgresql://user:password@host:port/name?option=….

    As with psql, `host` may stand in the query (a directory is a unix socket) together with
    sslmode, application_name, connect_timeout and any server setting.

    Raises:
        InvalidArgument: it is no such URL; the text does not repeat it.
    """
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        # What stands before :// is shown only if it can't be a password gone astray.
        found = f"'{scheme}://'" if separator and scheme.replace("+", "").isalnum() else "this"
        raise _refused(f"{found} is no PostgreSQL URL")
    try:
        parts = urlsplit(url)
        query = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        # Several hosts are left to the driver, which knows how to try them in turn.
        port_is_read = "," in parts.netloc or parts.port != 0
        if not port_is_read:
            raise _refused("port 0 is none")
        if parts.fragment:
            # Cut off silently it would connect elsewhere, and often it is half a password.
            raise _refused("the URL has a '#'; write it as %23")
        timeout_s = float(query.pop("connect_timeout", [str(_CONNECT_TIMEOUT_S)])[-1])
    except ValueError:
        raise _refused("the URL can't be read") from None
    user = query.get("user", [unquote(parts.username or "")])[-1]
    name = unquote(parts.path.lstrip("/")) or query.get("dbname", [user])[-1]
    # What stands before the @, or in the query, may be a password.
    where = parts.netloc.rpartition("@")[2]
    options = "&".join(f"{key}={query[key][-1]}" for key in ("host", "port") if key in query)
    shown = f"postgresql://{f'{user}@' if user else ''}{where}/{name}"
    rest = urlencode(query, doseq=True)
    return Address(
        shown=f"{shown}?{options}" if options else shown,
        url=f"postgresql://{parts.netloc}{parts.path}{f'?{rest}' if rest else ''}",
        # As with psql, 0 means without limit.
        connect_timeout_s=timeout_s if timeout_s > _NO_LIMIT_S else 365 * 86_400.0,
        settings=frozenset(query),
    )


def _refused(problem: str) -> InvalidArgument:
    return InvalidArgument(
        f"--database-url: {problem}; it reads "
        "postgresql://user:password@host:5432/name, or postgresql:///name?host=/socket/directory",
        kind=Kind.SERVER,
        field="database_url",
    )
