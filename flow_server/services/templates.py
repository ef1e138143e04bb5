"""Use cases of templates."""

from flow_contract import checks
from flow_contract.access import Caller
from flow_contract.ids import new_template_id
from flow_contract.template_checks import check_template
from flow_contract.templates import Template, TemplateSpec
from flow_server.domain.access import RULES, decide, owner_name
from flow_server.storage import templates
from flow_server.storage.database import Database


class TemplateService:
    """Keeps templates. Errors are those of `flow_server.storage.templates` and the checks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, spec: TemplateSpec, *, caller: Caller) -> str:
        """Store a template, the caller's own, and return its id."""
        check_template(spec)
        template_id = new_template_id()
        async with self._database.transaction() as connection:
            await templates.insert_template(connection, template_id, spec, owner_name(caller))
        return template_id

    async def update(self, template_id: str, spec: TemplateSpec, *, caller: Caller) -> None:
        """Replace a template. One that isn't there is reported before what is wrong with `spec`.

        Raises:
            Forbidden: it is another user's.
        """
        checks.text("template_id", template_id)
        async with self._database.transaction() as connection:
            template = await templates.get_template(connection, template_id)
            decide(RULES["TemplateService/Update"], caller, template.owner)
            check_template(spec)
            await templates.update_template(connection, template_id, spec)

    async def get(self, template_id: str) -> Template:
        """Return a template."""
        checks.text("template_id", template_id)
        async with self._database.transaction() as connection:
            return await templates.get_template(connection, template_id)

    async def list(self, *, keyword: str, page: int, limit: int) -> tuple[list[Template], int]:
        """Return one page, oldest first, and the number of all that match."""
        checks.page(page, limit)
        checks.text("keyword", keyword)
        async with self._database.transaction() as connection:
            return await templates.list_templates(
                connection, keyword=keyword, offset=(page - 1) * limit, limit=limit
            )

    async def delete(self, template_id: str, *, caller: Caller) -> None:
        """Delete a template; runs keep their snapshot.

        Raises:
            Forbidden: it is another user's.
        """
        checks.text("template_id", template_id)
        async with self._database.transaction() as connection:
            template = await templates.get_template(connection, template_id)
            decide(RULES["TemplateService/Delete"], caller, template.owner)
            await templates.delete_template(connection, template_id)
