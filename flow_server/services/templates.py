"""Use cases of templates."""

from flow_contract import checks
from flow_contract.ids import new_template_id
from flow_contract.templates import Template, TemplateSpec, check_template
from flow_server.storage import templates
from flow_server.storage.database import Database


class TemplateService:
    """Keeps templates. Errors are those of `flow_server.storage.templates` and the checks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, spec: TemplateSpec) -> str:
        """Store a template and return its id."""
        check_template(spec)
        template_id = new_template_id()
        async with self._database.transaction() as connection:
            await templates.insert_template(connection, template_id, spec)
        return template_id

    async def update(self, template_id: str, spec: TemplateSpec) -> None:
        """Replace a template. One that isn't there is reported before what is wrong with `spec`."""
        checks.text("template_id", template_id)
        async with self._database.transaction() as connection:
            await templates.get_template(connection, template_id)
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

    async def delete(self, template_id: str) -> None:
        """Delete a template; runs keep their snapshot."""
        checks.text("template_id", template_id)
        async with self._database.transaction() as connection:
            await templates.delete_template(connection, template_id)
