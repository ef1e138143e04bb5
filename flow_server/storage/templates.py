"""Queries on templates."""

from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, insert, select, true, update
from sqlalchemy.exc import IntegrityError

from flow_contract.errors import AlreadyExists, Kind, NotFound
from flow_contract.ids import name_key
from flow_contract.templates import Template, TemplateSpec
from flow_server.storage.database import Connection
from flow_server.storage.documents import from_template_spec, to_template_spec
from flow_server.storage.statements import Statement
from flow_server.storage.tables import templates

_FIND = Statement(
    """
    SELECT template_id, spec, create_time, modify_time FROM templates
    WHERE template_id = ANY(CAST(:template_ids AS text[]))
    """
)


async def insert_template(
    connection: Connection, template_id: str, spec: TemplateSpec, owner: str
) -> None:
    """Store a new template.

    Raises:
        AlreadyExists: the name is taken.
    """
    try:
        await connection.execute(
            insert(templates).values(template_id=template_id, owner=owner, **_row(spec))
        )
    except IntegrityError as error:
        raise _name_taken(spec.name) from error


async def update_template(connection: Connection, template_id: str, spec: TemplateSpec) -> None:
    """Replace a template.

    Raises:
        NotFound: there is none of this id.
        AlreadyExists: the name is taken by another.
    """
    statement = (
        update(templates)
        .where(templates.c.template_id == template_id)
        .values(**_row(spec), modify_time=func.now())
    )
    try:
        result = await connection.execute(statement)
    except IntegrityError as error:
        raise _name_taken(spec.name) from error
    if not result.rowcount:
        raise not_found(template_id)


async def get_template(connection: Connection, template_id: str) -> Template:
    """Return one template.

    Raises:
        NotFound: there is none of this id.
    """
    statement = select(templates).where(templates.c.template_id == template_id)
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        raise not_found(template_id)
    return _template(row)


async def templates_of(connection: Connection, template_ids: list[str]) -> dict[str, Template]:
    """Return those of these templates that there are, by id."""
    rows = await _FIND.rows(connection, template_ids=template_ids)
    return {
        row["template_id"]: Template(
            template_id=row["template_id"],
            spec=to_template_spec(row["spec"]),
            create_time=row["create_time"],
            modify_time=row["modify_time"],
        )
        for row in rows
    }


async def list_templates(
    connection: Connection, *, keyword: str, offset: int, limit: int
) -> tuple[list[Template], int]:
    """Return one page, oldest first, and the number of all that match.

    `keyword` is a literal, case-insensitive part of the name; "" matches all.
    """
    matches = _matches(keyword)
    page = (
        select(templates)
        .where(matches)
        .order_by(templates.c.create_time, templates.c.template_id)
        .offset(offset)
        .limit(limit)
    )
    count = select(func.count()).select_from(templates).where(matches)
    rows = (await connection.execute(page)).all()
    total = (await connection.execute(count)).scalar_one()
    return [_template(row) for row in rows], total


async def delete_template(connection: Connection, template_id: str) -> None:
    """Delete a template; runs keep their snapshot.

    Raises:
        NotFound: there is none of this id.
    """
    statement = delete(templates).where(templates.c.template_id == template_id)
    if not (await connection.execute(statement)).rowcount:
        raise not_found(template_id)


def not_found(template_id: str) -> NotFound:
    """Return the error for a template that isn't there."""
    return NotFound(
        f"template not found: {template_id[:64]!r}",
        kind=Kind.TEMPLATE,
        subject_id=template_id[:64],
        field="template_id",
    )


def _matches(keyword: str) -> ColumnElement[bool]:
    if not keyword:
        return true()
    return templates.c.name_key.contains(name_key(keyword), autoescape=True)


def _row(spec: TemplateSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "name_key": name_key(spec.name),
        "spec": from_template_spec(spec),
    }


def _name_taken(name: str) -> AlreadyExists:
    return AlreadyExists(
        f"duplicate template name: {name!r} is taken; choose another",
        kind=Kind.TEMPLATE,
        field="name",
    )


def _template(row: Row[Any]) -> Template:
    return Template(
        template_id=row.template_id,
        spec=to_template_spec(row.spec),
        create_time=row.create_time,
        modify_time=row.modify_time,
        owner=row.owner,
    )
