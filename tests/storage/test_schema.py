"""A server works on its own schema, or on a newer one that says that it may; others are named."""

import asyncio

import pytest
from sqlalchemy import text

from flow_contract.errors import Conflict, InvalidArgument
from flow_server.storage import schema
from flow_server.storage.address import parse
from flow_server.storage.engine import make_engine
from flow_server.storage.schema import Fit


@pytest.fixture
async def empty(empty_url):
    made = make_engine(parse(empty_url))
    yield made
    await made.dispose()


async def _pretend(engine, revision):
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision}
        )


async def test_a_migrated_database_fits(engine):
    assert await schema.fit(engine) is Fit.SAME
    await schema.require_fit(engine, database="postgresql://db/flow")


async def test_an_empty_database_is_refused_with_the_command_to_run(empty):
    assert await schema.current(empty) is None
    assert await schema.fit(empty) is Fit.MISSING
    with pytest.raises(
        Conflict,
        match=r"no Fedflow schema.*fedflow db upgrade --database-url 'postgresql://db/flow'",
    ):
        await schema.require_fit(empty, database="postgresql://db/flow")


async def _says(engine, oldest_code):
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE compatibility SET oldest_code = :code"), {"code": oldest_code}
        )


async def test_a_newer_schema_that_says_that_this_code_fits_is_accepted_and_left_alone(engine):
    for oldest in ("0001", schema.head()):
        await _pretend(engine, "9999")
        await _says(engine, oldest)
        assert await schema.fit(engine) is Fit.COMPATIBLE
        assert await schema.require_fit(engine, database="any") is Fit.COMPATIBLE
        assert await schema.upgrade(engine) == "9999"
        with pytest.raises(Conflict, match="take it back with the fedflow that made it"):
            await schema.downgrade(engine, "base")
    assert await schema.current(engine) == "9999"


async def test_a_newer_schema_that_says_nothing_is_refused(engine):
    await _pretend(engine, "9999")
    async with engine.begin() as connection:
        await connection.execute(text("DROP TABLE compatibility"))
    assert await schema.fit(engine) is Fit.NEWER


async def test_a_newer_schema_is_refused_by_name_and_left_alone(engine):
    await _pretend(engine, "9999")
    await _says(engine, "9998")
    assert await schema.fit(engine) is Fit.NEWER
    with pytest.raises(Conflict, match=rf"schema 9999.*newer than {schema.head()}.*pip install"):
        await schema.require_fit(engine, database="postgresql://db/flow")
    with pytest.raises(Conflict, match="newer"):
        await schema.upgrade(engine)
    with pytest.raises(Conflict, match="9999"):
        await schema.downgrade(engine, "base")
    assert await schema.current(engine) == "9999"


async def test_an_older_schema_is_refused_by_name_and_upgraded_on_request(
    engine, tmp_path, monkeypatch
):
    copy_with_one_more(tmp_path / "migrations")
    old = schema.head()
    monkeypatch.setattr(schema, "_CHECKOUT", tmp_path / "migrations")
    monkeypatch.setattr(schema, "_PACKAGED", tmp_path / "nowhere")

    assert await schema.fit(engine) is Fit.OLDER
    with pytest.raises(Conflict, match=f"schema {old}, older.*fedflow db upgrade --database-url"):
        await schema.require_fit(engine, database="postgresql://db/flow")

    assert await schema.upgrade(engine) == "later"
    assert await schema.fit(engine) is Fit.SAME
    assert await schema.downgrade(engine, old) == old


def copy_with_one_more(target):
    """Copy the migrations and add a revision after the newest."""
    source = schema._PACKAGED if schema._PACKAGED.is_dir() else schema._CHECKOUT
    (target / "versions").mkdir(parents=True)
    for path in [*source.glob("*.*"), *source.glob("versions/*.py")]:
        (target / path.relative_to(source)).write_text(path.read_text())
    (target / "versions" / "later.py").write_text(
        "from alembic import op\n"
        f"revision, down_revision = 'later', {schema.head()!r}\n"
        "def upgrade():\n    op.execute('CREATE TABLE later (answer int)')\n"
        "def downgrade():\n    op.execute('DROP TABLE later')\n"
    )


async def test_upgrading_twice_is_upgrading_once(empty):
    assert await schema.upgrade(empty) == schema.head()
    assert await schema.upgrade(empty) == schema.head()
    assert await schema.current(empty) == schema.head()


async def test_many_upgrades_at_once_come_one_after_the_other(empty_url):
    engines = [make_engine(parse(empty_url)) for _ in range(4)]
    try:
        revisions = await asyncio.gather(*(schema.upgrade(one) for one in engines))
    finally:
        for one in engines:
            await one.dispose()
    assert revisions == [schema.head()] * 4


async def test_an_upgrade_that_fails_halfway_leaves_nothing(empty, tmp_path, monkeypatch):
    copy_with_one_more(tmp_path / "migrations")
    (tmp_path / "migrations" / "versions" / "later.py").write_text(
        "from alembic import op\n"
        f"revision, down_revision = 'later', {schema.head()!r}\n"
        "def upgrade():\n    op.execute('SELECT 1 / 0')\n"
    )
    monkeypatch.setattr(schema, "_CHECKOUT", tmp_path / "migrations")
    monkeypatch.setattr(schema, "_PACKAGED", tmp_path / "nowhere")
    with pytest.raises(Exception, match="division by zero"):
        await schema.upgrade(empty)
    assert await schema.fit(empty) is Fit.MISSING
    async with empty.connect() as connection:
        count = await connection.execute(
            text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        )
        assert count.scalar() == 0


async def test_somebody_elses_tables_are_not_taken_over(empty):
    async with empty.begin() as connection:
        await connection.execute(text("CREATE TABLE tasks (mine text)"))
    with pytest.raises(Conflict, match="tables named tasks that Fedflow did not make"):
        await schema.upgrade(empty)
    assert await schema.current(empty) is None


async def test_a_downgrade_to_what_does_not_exist_names_the_choices(engine):
    with pytest.raises(InvalidArgument, match=f"0815: not a revision below {schema.head()}.*base"):
        await schema.downgrade(engine, "0815")
    assert await schema.fit(engine) is Fit.SAME


async def test_a_downgrade_to_base_removes_every_table(engine):
    assert await schema.downgrade(engine, "base") is None
    assert await schema.fit(engine) is Fit.MISSING
