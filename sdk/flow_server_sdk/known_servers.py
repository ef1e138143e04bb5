"""Finding a server's credentials: arguments, environment, then the file of servers known here.

~/.config/fedflow/servers.toml, for its owner alone:

[servers."flow.example.org:1235"]
token = "ff.…"      or token_file = "/path"
ca = "/path/ca.pem"
"""

import json
import os
import stat
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from flow_server_sdk.credentials import Credentials, Sources, choose, credentials, in_environment
from flow_server_sdk.handshake import check_ca

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What the file says of one server."""

    token: str | None = field(default=None, repr=False)
    token_file: str | None = None
    ca: str | None = None


def find(
    address: str,
    *,
    token: str | None = None,
    ca: str | Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Credentials:
    """Return how to speak to `address`; `environment` None means this process's.

    Raises:
        TypeError, ValueError: an argument, or a file that one names, can't be used.
    """
    if token is not None and not isinstance(token, str):
        raise TypeError(f"token: must be a string, not {type(token).__name__}")
    if ca is not None and not isinstance(ca, str | Path):
        raise TypeError(f"ca: must be the path of a PEM file, not {type(ca).__name__}")
    given = Sources(token=token, ca_file=None if ca is None else str(ca))
    said = in_environment(os.environ if environment is None else environment)
    profile = read_profiles(profiles_path(environment)).get(address, Profile())
    kept = Sources(token=profile.token, token_file=profile.token_file, ca_file=profile.ca)
    chosen = choose(given, said, kept)
    ca_pem = None if chosen.ca_file is None else _read(chosen.ca_file, "ca")
    if ca_pem is not None:
        check_ca(ca_pem)
    return credentials(address, token=_token(chosen), ca_pem=ca_pem)


def profiles_path(environment: Mapping[str, str] | None = None) -> Path:
    """Return where the file of known servers is, or would be."""
    said = (os.environ if environment is None else environment).get("XDG_CONFIG_HOME")
    # One that is not absolute counts as unset: XDG base directory specification.
    base = Path(said) if said and Path(said).is_absolute() else Path.home() / ".config"
    return base / "fedflow" / "servers.toml"


def read_profiles(path: Path) -> dict[str, Profile]:
    """Return what the file says, by address; nothing if it isn't there.

    Raises:
        ValueError: it is not readable as such a file, or others could read its tokens.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            document = tomllib.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        # Not the parser's own text: it may repeat a line, and with it a token.
        raise ValueError(f"{path}: can't be read ({type(error).__name__}); mend it") from None
    profiles = {
        address: _profile(path, address, entry)
        for address, entry in _table(path, document.get("servers", {})).items()
    }
    if mode & _OTHERS and any(profile.token for profile in profiles.values()):
        raise ValueError(f"{path}: others can read the tokens in it; run: chmod 600 {path}")
    return profiles


def write_profiles(path: Path, profiles: Mapping[str, Profile]) -> None:
    """Write the file whole, for its owner alone.

    Raises:
        OSError: it can't be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lines = ["# Written by 'fedflow login' and 'fedflow logout'.", ""]
    for address, profile in sorted(profiles.items()):
        lines.append(f"[servers.{_quoted(address)}]")
        lines += [f"{key} = {_quoted(value)}" for key, value in asdict(profile).items() if value]
        lines.append("")
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write("\n".join(lines))
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _token(chosen: Sources) -> str | None:
    if chosen.token is not None or chosen.token_file is None:
        return chosen.token
    try:
        return _read(chosen.token_file, "token file").decode("ascii")
    except UnicodeDecodeError:
        raise ValueError(f"token file: {chosen.token_file} holds no token") from None


def _read(path: str, what: str) -> bytes:
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise ValueError(f"{what}: can't read {path}: {error.strerror}") from None


def _table(path: Path, value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError(  # noqa: TRY004 - a file's content, as all that is wrong with it
            f'{path}: "servers" must be a table of servers'
        )
    return value


def _profile(path: Path, address: str, entry: object) -> Profile:
    known = Profile.__dataclass_fields__
    if not isinstance(entry, dict) or not all(
        key in known and isinstance(value, str) for key, value in entry.items()
    ):
        raise ValueError(f"{path}: [servers.{_quoted(address)}] may hold {', '.join(known)}, texts")
    return Profile(**entry)


def _quoted(text: str) -> str:
    # A JSON string is a basic string of TOML, but for one character that JSON leaves as it is.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
