"""Users of a test's server, made by its admin through the SDK."""

from sqlalchemy import text

from flow_contract.access import Role
from flow_server.storage.address import parse
from flow_server.storage.engine import make_engine
from flow_server_sdk import AsyncFlowServerSdk


class People:
    """Makes users and tokens as the first admin; remembers every token that it saw."""

    def __init__(self, served):
        self.served = served
        host, port = served.address.rsplit(":", 1)
        self.admin = AsyncFlowServerSdk(host, port, token=served.admin_token, ca=served.ca)
        self.tokens = {"admin": served.admin_token}

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.admin.close()

    async def add(self, name, role: Role, **token):
        """Add a user and return its first token."""
        answer = await self.admin.user.add(name, role.value)
        assert answer["ret_code"] == 0, answer
        return await self.token_of(name, **token)

    async def token_of(self, name, **token):
        """Return another token of a user."""
        answer = await self.admin.user.create_token(name, **token)
        assert answer["ret_code"] == 0, answer
        made = answer["data"]["token"]
        self.tokens[f"{name} {len(self.tokens)}"] = made
        return made

    async def expire(self, token):
        """Let time pass for one token: it is as old now as it may become."""
        await execute(
            self.served,
            "UPDATE tokens SET created_at = now() - interval '2 days',"
            " expires_at = now() - interval '1 second' WHERE token_id = :token_id",
            token_id=token_id(token),
        )


def token_id(token):
    """Return the part of a token that may be shown."""
    return token.split(".")[1]


async def execute(served, statement, **values):
    """Do something in the server's database, behind its back."""
    engine = make_engine(parse(served.flow._settings.database_url.get_secret_value()))
    try:
        async with engine.begin() as connection:
            result = await connection.execute(text(statement), values)
            return result.all() if result.returns_rows else []
    finally:
        await engine.dispose()
