"""What clients on this machine know of a federation, for as long as it runs."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from flow_server_sdk import known_servers
from flow_server_sdk.known_servers import Profile


@contextlib.contextmanager
def published(address: str, profile: Profile) -> Iterator[None]:
    """Let every client of this user reach `address` (host:port) while the block lasts.

    What was known of that address before is known again afterwards.

    Raises:
        OSError, ValueError: the file of known servers can't be read or written.
    """
    path = known_servers.profiles_path()
    port = address.rpartition(":")[2]
    # The same port by the other name that people have for this machine.
    ours = dict.fromkeys((address, f"localhost:{port}"), profile)
    before = known_servers.read_profiles(path)
    known_servers.write_profiles(path, before | ours)
    try:
        yield
    finally:
        _take_back(path, ours, before)


def _take_back(path: Path, ours: dict[str, Profile], before: dict[str, Profile]) -> None:
    with contextlib.suppress(OSError, ValueError):
        present = known_servers.read_profiles(path)
        for name, profile in ours.items():
            # Somebody may have logged in meanwhile: that is theirs.
            if present.get(name) != profile:
                continue
            del present[name]
            if name in before and _is_of_use(before[name]):
                present[name] = before[name]
        if present:
            known_servers.write_profiles(path, present)
        else:
            path.unlink(missing_ok=True)


def _is_of_use(profile: Profile) -> bool:
    """Say whether the files that it names are there: a killed federation leaves its profile."""
    named = [each for each in (profile.token_file, profile.ca) if each]
    return all(Path(each).expanduser().exists() for each in named)
