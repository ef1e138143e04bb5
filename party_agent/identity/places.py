"""Where identities are on this machine, and which one an agent is when nobody says."""

from pathlib import Path

from flow_contract.ids import is_party_id
from party_agent.identity import files
from party_agent.identity.files import Identity, IdentityMissing, IdentityUnusable


def home() -> Path:
    """Return the directory that has one state directory per party of this machine."""
    return Path.home() / ".local/state/fedflow/agents"


def find(*, state_dir: Path | None, party: str | None) -> tuple[Path, Identity]:
    """Return the state directory and the identity of the agent that is meant.

    Without `state_dir` it is the party's own; with neither, the only one on this machine.

    Raises:
        IdentityMissing: there is none; the text says how to get one.
        IdentityUnusable: it can't be used, is another party's, or there are several.
    """
    if party and not is_party_id(party):
        raise IdentityUnusable(f"--party: {party[:80]!r} can't name a party")
    place = state_dir or (home() / party if party else _only())
    identity = files.read(place)
    if party and party != identity.party:
        raise IdentityUnusable(
            f"the identity in {place} is for party {identity.party!r}, not for {party!r}; leave "
            "--party out, or name another --state-dir"
        )
    return place, identity


def _only() -> Path:
    places = sorted(path for path in home().glob("*") if files.exists(path))
    if not places:
        raise IdentityMissing(
            "this machine has no identity yet: ask the server's operator for an enrolment token "
            "('fedflow party add ID'), then run 'fedflow agent enrol --server HOST:PORT --token -'"
            "; or dial a server on this machine with --insecure --server HOST:PORT --party ID"
        )
    if len(places) > 1:
        names = ", ".join(path.name for path in places)
        raise IdentityUnusable(f"there are several identities; name one with --party: {names}")
    return places[0]
