"""Use cases of users: who there is, what each may do, who can still sign in."""

from flow_contract import checks
from flow_contract.access import Role
from flow_contract.users import User, check_user_name
from flow_server.storage import changes, users
from flow_server.storage.database import Database


class UserService:
    """Keeps users. Errors are those of `flow_server.storage.users` and the checks.

    Whoever may call these has the right to manage: the entrance has asked.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, name: str, role: Role) -> None:
        """Store a user, who can do nothing before there is a token."""
        checks.text("name", name)
        check_user_name(name)
        async with self._database.transaction() as connection:
            await users.insert_user(connection, name, role)

    async def list(self, *, page: int, limit: int) -> tuple[list[User], int]:
        """Return one page, by name, and the number of all."""
        checks.page(page, limit)
        async with self._database.snapshot() as connection:
            return await users.list_users(connection, offset=(page - 1) * limit, limit=limit)

    async def set_role(self, name: str, role: Role) -> None:
        """Give a user another role; what is under way with its tokens follows at once."""
        checks.text("name", name)
        async with self._database.transaction() as connection:
            await users.set_role(connection, name, role)
            await changes.notify_identity(connection, [f"user:{name}"])

    async def disable(self, name: str) -> None:
        """End all use of the user's tokens, at every replica; what the user owns stays."""
        checks.text("name", name)
        async with self._database.transaction() as connection:
            await users.disable_user(connection, name)
            await changes.notify_identity(connection, [f"user:{name}"])

    async def enable(self, name: str) -> None:
        """Let the user's tokens work again that have neither expired nor been revoked."""
        checks.text("name", name)
        async with self._database.transaction() as connection:
            await users.enable_user(connection, name)
