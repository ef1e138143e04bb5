"""UserService on gRPC: decode, one use case, encode."""

from flow_contract.access import CallerKind, Right
from flow_server.grpc_api import callers
from flow_server.grpc_api.context import Context
from flow_server.grpc_api.paging import page_of
from flow_server.services.tokens import DEFAULT_TOKEN_DAYS, TokenService
from flow_server.services.users import UserService
from flow_wire import users_pb2 as pb
from flow_wire import users_pb2_grpc
from flow_wire.codec.enums import RIGHT, ROLE
from flow_wire.codec.users import decode_scopes, encode_api_token, encode_user


class UserServicer(users_pb2_grpc.UserServiceServicer):
    """See proto/users.proto for each call's errors."""

    def __init__(self, users: UserService, tokens: TokenService) -> None:
        self._users = users
        self._tokens = tokens

    async def Add(self, request: pb.AddUserRequest, context: Context) -> pb.AddUserResponse:
        await self._users.add(request.name, ROLE.decode(request.role, "role"))
        return pb.AddUserResponse()

    async def List(self, request: pb.ListUsersRequest, context: Context) -> pb.ListUsersResponse:
        page, limit = page_of(request)
        found, count = await self._users.list(page=page, limit=limit)
        return pb.ListUsersResponse(users=[encode_user(user) for user in found], user_count=count)

    async def SetRole(self, request: pb.SetRoleRequest, context: Context) -> pb.SetRoleResponse:
        await self._users.set_role(request.name, ROLE.decode(request.role, "role"))
        return pb.SetRoleResponse()

    async def Disable(
        self, request: pb.DisableUserRequest, context: Context
    ) -> pb.DisableUserResponse:
        await self._users.disable(request.name)
        return pb.DisableUserResponse()

    async def Enable(
        self, request: pb.EnableUserRequest, context: Context
    ) -> pb.EnableUserResponse:
        await self._users.enable(request.name)
        return pb.EnableUserResponse()

    async def CreateToken(
        self, request: pb.CreateTokenRequest, context: Context
    ) -> pb.CreateTokenResponse:
        text, known_as = await self._tokens.create(
            request.user_name,
            label=request.label,
            scopes=decode_scopes(request.scopes) if request.HasField("scopes") else None,
            valid_days=request.valid_days if request.HasField("valid_days") else DEFAULT_TOKEN_DAYS,
            caller=callers.current(),
        )
        return pb.CreateTokenResponse(token=text, known_as=encode_api_token(known_as))

    async def ListTokens(
        self, request: pb.ListTokensRequest, context: Context
    ) -> pb.ListTokensResponse:
        found = await self._tokens.list(request.user_name, caller=callers.current())
        return pb.ListTokensResponse(tokens=[encode_api_token(token) for token in found])

    async def RevokeToken(
        self, request: pb.RevokeTokenRequest, context: Context
    ) -> pb.RevokeTokenResponse:
        await self._tokens.revoke(request.token_id, caller=callers.current())
        return pb.RevokeTokenResponse()

    async def WhoAmI(self, request: pb.WhoAmIRequest, context: Context) -> pb.WhoAmIResponse:
        caller = callers.current()
        return pb.WhoAmIResponse(
            name=caller.name,
            rights=[RIGHT.encode(right) for right in Right if right in caller.rights],
            token_id=caller.credential if caller.kind is CallerKind.USER else "",
        )
