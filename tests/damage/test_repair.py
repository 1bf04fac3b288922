"""``repair`` mends what was found, and nothing else of all that there is."""

from collections.abc import Callable

import pytest

from tests.damage.planting import CATALOGUE, Damage, Row, State, state
from tests.damage.support import MENDERS, as_found, mend

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "other"]),
    pytest.mark.timeout(3_600),  # with more files than by default
]


def without_orphans(before: State, damage: Damage) -> State:
    gone = damage.oids("orphan", "role")
    entries = [row for row in before.tables[CATALOGUE] if int(row["loid"]) not in gone]
    objects = {oid: found for oid, found in before.objects.items() if oid not in gone}
    return State(before.tables | {CATALOGUE: entries}, objects)


def without_strays(before: State, damage: Damage) -> State:
    gone = damage.oids("entry")
    return changed_entries(before, lambda row: None if int(row["loid"]) in gone else row)


def changed_entries(before: State, change: Callable[[Row], Row | None]) -> State:
    entries = [after for row in before.tables[CATALOGUE] if (after := change(row)) is not None]
    return State(before.tables | {CATALOGUE: entries}, before.objects)


def with_extensions(before: State, damage: Damage) -> State:
    oids = damage.oids("extension")
    return changed_entries(before, lambda row: row | {"extension": ".txt"} if int(row["loid"]) in oids else row)


def with_sizes(before: State, damage: Damage) -> State:
    oids = damage.oids("size")
    return changed_entries(
        before, lambda row: row | {"size": row["size"] - 1, "sha256": None} if int(row["loid"]) in oids else row
    )


def with_digests(before: State, damage: Damage) -> State:
    oids = damage.oids("digest")
    return changed_entries(
        before,
        lambda row: row | {"sha256": before.objects[int(row["loid"])][1]} if int(row["loid"]) in oids else row,
    )


def without_names(before: State, damage: Damage) -> State:
    tables = {}
    for table, rows in before.tables.items():
        found = {(each.column, each.name) for each in damage.by_kind["dangling"] if each.table == table}
        found -= {(column, name) for column, name in found if table == "shelf_contract"}
        tables[table] = [
            {
                column: ("" if column == "cover" else None) if (column, value) in found else value
                for column, value in row.items()
            }
            for row in rows
        ]
    return State(tables, before.objects)


def with_entries(before: State, damage: Damage) -> State:
    made = [
        {"loid": str(oid), "extension": ".txt", "original_name": f"{oid}.txt", "content_type": "text/plain"}
        | {"size": None, "sha256": None, "created_at": None}
        for oid in damage.oids("uncatalogued")
    ]
    return State(before.tables | {CATALOGUE: before.tables[CATALOGUE] + made}, before.objects)


EXPECTED: dict[str, Callable[[State, Damage], State]] = {
    "extension": with_extensions,
    "entry": without_strays,
    "uncatalogued": with_entries,
    "size": with_sizes,
    "digest": with_digests,
    "orphan": without_orphans,
    "dangling": without_names,
}
STAYS = {
    "orphan": "it is the role stranger's",
    "dangling": "the column takes neither NULL nor an empty text: correct the row, or delete it",
}


def test_what_was_found_is_mended_and_nothing_else(damage: Damage) -> None:
    for kind in MENDERS:
        before = state(damage.superuser)
        planned = mend(kind, dry_run=True)
        assert state(damage.superuser) == before
        outcomes = mend(kind)
        assert sorted(map(str, outcomes)) == sorted(map(str, planned))
        assert {as_found(outcome.finding) for outcome in outcomes} == damage.by_kind[kind]
        assert state(damage.superuser).rounded(before) == EXPECTED[kind](before, damage).rounded(before), kind
        left = [outcome for outcome in outcomes if outcome.left]
        assert {outcome.left for outcome in left} <= {STAYS.get(kind)}
        assert sorted(map(str, mend(kind))) == sorted(map(str, left))
