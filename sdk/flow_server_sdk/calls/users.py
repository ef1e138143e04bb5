"""`sdk.user`: users of a server, their tokens, and who the caller is."""

from typing import TypeVar

from flow_contract.access import Right, Role
from flow_contract.errors import InvalidArgument
from flow_server_sdk import methods, shapes
from flow_server_sdk.calls.paging import page_of
from flow_server_sdk.calls.surface import R, Strings, Surface
from flow_server_sdk.payloads import forms
from flow_server_sdk.scripts import Call
from flow_wire import users_pb2 as pb
from flow_wire.codec.enums import RIGHT, ROLE
from flow_wire.codec.users import decode_api_token, decode_user, encode_scopes

E = TypeVar("E", Role, Right)


class UserCalls(Surface[R]):
    """Add, list, disable and enable users; make, list and revoke tokens. Mostly for admins.

    Roles are viewer, researcher, operator and admin; rights read, read_all, run, operate, audit
    and manage.
    """

    def whoami(self) -> R:
        """Return data.name, data.rights and data.token_id: who the server takes the caller for."""
        return self._send(
            Call(
                method=methods.WHO_AM_I,
                request=pb.WhoAmIRequest,
                data=lambda reply: {
                    "name": reply.name,
                    "rights": [str(RIGHT.decode(right, "rights")) for right in reply.rights],
                    "token_id": reply.token_id,
                },
            )
        )

    def add(self, name: str, role: str) -> R:
        """Store a user, who can do nothing before there is a token."""
        return self._send(
            Call(
                method=methods.ADD_USER,
                request=lambda: pb.AddUserRequest(
                    name=forms.text("name", name), role=ROLE.encode(_member("role", role, Role))
                ),
            )
        )

    def list(self, page: int = 1, limit: int = 10) -> R:
        """Return data.users, by name, and data.user_count of all pages."""
        return self._send(
            Call(
                method=methods.LIST_USERS,
                request=lambda: pb.ListUsersRequest(**page_of(page, limit)),
                data=lambda reply: {
                    "users": [shapes.user(decode_user(user)) for user in reply.users],
                    "user_count": reply.user_count,
                },
            )
        )

    def set_role(self, name: str, role: str) -> R:
        """Give a user another role; tokens follow at once."""
        return self._send(
            Call(
                method=methods.SET_ROLE,
                request=lambda: pb.SetRoleRequest(
                    name=forms.text("name", name), role=ROLE.encode(_member("role", role, Role))
                ),
            )
        )

    def disable(self, name: str) -> R:
        """End all use of a user's tokens; what the user owns stays. Twice is once."""
        return self._send(
            Call(
                method=methods.DISABLE_USER,
                request=lambda: pb.DisableUserRequest(name=forms.text("name", name)),
            )
        )

    def enable(self, name: str) -> R:
        """Let a user's tokens work again that have neither expired nor been revoked."""
        return self._send(
            Call(
                method=methods.ENABLE_USER,
                request=lambda: pb.EnableUserRequest(name=forms.text("name", name)),
            )
        )

    def create_token(
        self,
        user_name: str = "",
        *,
        label: str = "",
        scopes: Strings | None = None,
        valid_days: int | None = None,
    ) -> R:
        """Make a token; data.token is its text, which nobody can show again.

        `user_name` "" is the caller. `scopes` names rights, None is all that the role allows;
        `valid_days` None is 90.
        """
        return self._send(
            Call(
                method=methods.CREATE_TOKEN,
                request=lambda: pb.CreateTokenRequest(
                    user_name=forms.text("user_name", user_name),
                    label=forms.text("label", label),
                    scopes=encode_scopes(_scopes(scopes)),
                    valid_days=None
                    if valid_days is None
                    else forms.integer("valid_days", valid_days),
                ),
                data=lambda reply: {
                    "token": reply.token,
                    **shapes.api_token(decode_api_token(reply.known_as)),
                },
            )
        )

    def tokens(self, user_name: str = "") -> R:
        """Return data.tokens, newest first, without their secrets; "" is the caller."""
        return self._send(
            Call(
                method=methods.LIST_TOKENS,
                request=lambda: pb.ListTokensRequest(user_name=forms.text("user_name", user_name)),
                data=lambda reply: {
                    "tokens": [shapes.api_token(decode_api_token(token)) for token in reply.tokens]
                },
            )
        )

    def revoke_token(self, token_id: str) -> R:
        """Have a token refused from now on, everywhere; what lasts in its name ends."""
        return self._send(
            Call(
                method=methods.REVOKE_TOKEN,
                request=lambda: pb.RevokeTokenRequest(token_id=forms.text("token_id", token_id)),
            )
        )


def _scopes(given: object) -> frozenset[Right] | None:
    if given is None:
        return None
    return frozenset(_member("scopes", item, Right) for item in forms.texts("scopes", given))


def _member(field: str, value: object, members: type[E]) -> E:
    try:
        return members(forms.text(field, value))
    except ValueError:
        names = ", ".join(str(member) for member in members)
        raise InvalidArgument(f"{field}: give one of {names}", field=field) from None
