"""Who may do what: roles, rights, and what is known of a caller.

A right is what a call asks for, a role is a set of rights, and a token may carry fewer than its
user's role gives, never more. A party has no rights: its certificate lets it speak for itself.
"""

import enum
from dataclasses import dataclass


class Right(enum.StrEnum):
    """What a user may be allowed."""

    # See parties and templates, and one's own tasks.
    READ = "read"
    # See everybody's tasks.
    READ_ALL = "read_all"
    # Make templates and tasks; start, stop and delete one's own.
    RUN = "run"
    # Enrol, drain and revoke parties; stop anybody's run.
    OPERATE = "operate"
    # Read the audit log.
    AUDIT = "audit"
    # Users and their tokens; anybody's templates and tasks.
    MANAGE = "manage"


class Role(enum.StrEnum):
    """What a user is."""

    VIEWER = "viewer"
    RESEARCHER = "researcher"
    OPERATOR = "operator"
    ADMIN = "admin"


ROLE_RIGHTS: dict[Role, frozenset[Right]] = {
    Role.VIEWER: frozenset({Right.READ, Right.READ_ALL}),
    Role.RESEARCHER: frozenset({Right.READ, Right.RUN}),
    Role.OPERATOR: frozenset({Right.READ, Right.READ_ALL, Right.OPERATE, Right.AUDIT}),
    Role.ADMIN: frozenset(Right),
}


class CallerKind(enum.StrEnum):
    """How a caller proved who it is."""

    # By nothing.
    NOBODY = "nobody"
    # By a token, ours or an issuer's.
    USER = "user"
    # By a certificate of ours.
    PARTY = "party"
    # By reaching the loopback port of a server that was told to do without proof.
    LOCAL = "local"


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who makes a call.

    `name` is the user's name or the party's id, empty for nobody. `credential` names the token
    or the certificate's serial number, and is no secret. `address` is where the call came from.
    """

    kind: CallerKind
    name: str = ""
    rights: frozenset[Right] = frozenset()
    credential: str = ""
    address: str = ""


def rights_of(role: Role, scopes: frozenset[Right] | None) -> frozenset[Right]:
    """Return what a token of a user with `role` allows; None for `scopes` means all of it."""
    granted = ROLE_RIGHTS[role]
    return granted if scopes is None else granted & scopes
