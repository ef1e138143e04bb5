"""Users and their tokens on the wire."""

from collections.abc import Collection

from flow_contract.access import Right
from flow_contract.users import ApiToken, User
from flow_wire import users_pb2
from flow_wire.codec.enums import RIGHT, ROLE
from flow_wire.codec.times import decode_required_time, decode_time, encode_time


def encode_user(user: User) -> users_pb2.User:
    """Contract to wire."""
    wire = users_pb2.User(name=user.name, role=ROLE.encode(user.role), is_disabled=user.is_disabled)
    encode_time(wire.created_at, user.created_at)
    return wire


def decode_user(wire: users_pb2.User) -> User:
    """Wire to contract."""
    return User(
        name=wire.name,
        role=ROLE.decode(wire.role, "role"),
        is_disabled=wire.is_disabled,
        created_at=decode_required_time(wire, "created_at"),
    )


def encode_scopes(scopes: Collection[Right] | None) -> users_pb2.Scopes | None:
    """Return the wire's list of rights, None for None."""
    if scopes is None:
        return None
    return users_pb2.Scopes(rights=[RIGHT.encode(right) for right in Right if right in scopes])


def decode_scopes(wire: users_pb2.Scopes) -> frozenset[Right]:
    """Return the rights.

    Raises:
        InvalidArgument: one of them is not a known value.
    """
    return frozenset(RIGHT.decode(number, "scopes") for number in wire.rights)


def encode_api_token(token: ApiToken) -> users_pb2.ApiToken:
    """Contract to wire."""
    wire = users_pb2.ApiToken(
        token_id=token.token_id,
        user_name=token.user_name,
        label=token.label,
        scopes=encode_scopes(token.scopes),
    )
    encode_time(wire.created_at, token.created_at)
    encode_time(wire.expires_at, token.expires_at)
    encode_time(wire.revoked_at, token.revoked_at)
    encode_time(wire.last_used_at, token.last_used_at)
    return wire


def decode_api_token(wire: users_pb2.ApiToken) -> ApiToken:
    """Wire to contract."""
    return ApiToken(
        token_id=wire.token_id,
        user_name=wire.user_name,
        label=wire.label,
        scopes=decode_scopes(wire.scopes) if wire.HasField("scopes") else None,
        created_at=decode_required_time(wire, "created_at"),
        expires_at=decode_required_time(wire, "expires_at"),
        revoked_at=decode_time(wire, "revoked_at"),
        last_used_at=decode_time(wire, "last_used_at"),
    )
