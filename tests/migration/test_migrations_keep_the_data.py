"""Today's schema keeps what each older one has stored, and the older code goes on on it.

Replicas are upgraded one after the other, so for a while the older code works on the newer
schema. What it knows of that schema is asked of the catalogue, not written down here. What its
processes do is in test_old_code.py.
"""

import json

import pytest

from flow_server.storage import schema
from tests.migration.rows import NEW_TABLES, ROWS, WIDENED, added_to, rows_of
from tests.migration.versions import Versions

NEW = schema.head()
OLDER = sorted(set(schema.revisions()) - {NEW})

_RULES = """
    SELECT conrelid::regclass::text || ' ' || conname AS name, pg_get_constraintdef(oid) AS rule,
           conrelid::regclass::text AS table_name,
           ARRAY(SELECT attname::text FROM pg_attribute
                 WHERE attrelid = conrelid AND attnum = ANY(conkey)) AS columns
    FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version'
"""
_INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename <> 'alembic_version'"


@pytest.fixture(params=OLDER)
def old(request):
    return request.param


@pytest.fixture
async def versions(empty_url, old):
    versions = Versions(empty_url)
    await versions.go_to(old)
    return versions


@pytest.fixture
async def old_columns(versions):
    return await versions.columns()


async def test_the_rows_of_this_test_fill_every_column_of_the_old_version(old_columns):
    own = {table: set(found) for table, found in old_columns.items() if table not in NEW_TABLES}
    assert own == {table: set(rows[0]) for table, rows in rows_of(old_columns).items()}


async def test_every_row_is_the_same_after_the_way_up_and_the_way_back(versions, old, old_columns):
    await versions.fill(old_columns)
    before = await versions.stored(old_columns)
    assert all(before.values())

    await versions.go_to(NEW)
    assert await versions.stored(old_columns) == before
    await versions.go_to(old)
    assert await versions.stored(old_columns) == before
    await versions.go_to(NEW)
    assert await versions.stored(old_columns) == before


async def test_what_only_the_new_version_can_hold_is_all_that_the_way_back_loses(
    versions, old, old_columns
):
    await versions.fill(old_columns)
    before = await versions.stored(old_columns)
    await versions.go_to(NEW)
    for table, rows in added_to(old_columns).items():
        key = next(iter(old_columns[table]))
        for value, added in rows.items():
            sets = ", ".join(f"{name} = filled.{name}" for name in added)
            changed = await versions.fetch(
                f"UPDATE {table} SET {sets}"  # noqa: S608 - this test's own names
                f" FROM jsonb_populate_record(NULL::{table}, $1::jsonb) AS filled"
                f" WHERE {table}.{key} = $2 RETURNING 1",
                json.dumps(added),
                value,
            )
            assert len(changed) == 1

    await versions.go_to(old)
    assert await versions.columns() == old_columns
    assert await versions.stored(old_columns) == before


async def test_what_the_new_version_adds_is_in_the_rows_of_this_test(versions, old_columns):
    await versions.go_to(NEW)
    added = {
        table: set(columns) - set(old_columns[table])
        for table, columns in (await versions.columns()).items()
        if table in ROWS and set(columns) != set(old_columns[table])
    }
    assert added == {
        table: set(next(iter(rows.values()))) for table, rows in added_to(old_columns).items()
    }
    assert set(await versions.columns()) == {*ROWS, *NEW_TABLES}


@pytest.mark.parametrize("only_needed", [False, True], ids=["all columns", "needed columns"])
async def test_the_old_code_can_insert_on_the_new_schema(versions, old_columns, only_needed):
    known = {
        table: {
            name: facts
            for name, facts in columns.items()
            if not only_needed or not (facts["nullable"] or facts["filled_in"])
        }
        for table, columns in old_columns.items()
        if table in ROWS
    }
    if only_needed:
        # Each of these must be there because of another of the row's values.
        known["runs"] |= {"ended_at": None, "launch_ordered_at": None}
        known["party_runs"] |= {"finished_at": None, "reason": None}
    await versions.fill(known)
    expected = await versions.stored(known)
    await versions.go_to(NEW)
    for table in reversed(ROWS):
        await versions.fetch(f"DELETE FROM {table}")  # noqa: S608 - this test's own names
    await versions.fill(known)
    assert await versions.stored(known) == expected


async def test_nothing_that_the_old_code_knows_is_changed_or_gone(versions, old_columns):
    old_indexes = {
        tuple(row) for row in await versions.fetch(_INDEXES) if row["indexname"] not in WIDENED
    }
    await versions.go_to(NEW)
    new_columns = await versions.columns()
    for table, columns in old_columns.items():
        assert {name: new_columns[table][name] for name in columns} == columns
    assert old_indexes <= set(map(tuple, await versions.fetch(_INDEXES)))


async def test_what_is_new_asks_nothing_of_code_that_does_not_know_it(versions, old_columns):
    old_rules = {row["name"]: row["rule"] for row in await versions.fetch(_RULES)}
    await versions.go_to(NEW)
    for table, columns in (await versions.columns()).items():
        for name, facts in columns.items():
            if table in old_columns and name not in old_columns[table]:
                assert facts["nullable"] or facts["filled_in"], f"{table}.{name}"
    rules = {row["name"]: row for row in await versions.fetch(_RULES)}
    kept = {name: rule for name, rule in old_rules.items() if name.split()[1] not in WIDENED}
    assert {name: rules[name]["rule"] for name in kept} == kept
    assert set(WIDENED.values()) <= {name.split()[1] for name in rules}
    for name in rules.keys() - old_rules.keys():
        if rules[name]["table_name"] not in old_columns:
            continue
        # A rule over old columns alone could refuse what the old code has always stored.
        assert set(rules[name]["columns"]) - set(old_columns[rules[name]["table_name"]]), name
