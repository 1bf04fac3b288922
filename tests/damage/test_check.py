"""``check`` finds each fault by its row, and nothing else."""

import pytest
from django.core.files.base import ContentFile

from tests.damage.planting import Damage, Found, sql
from tests.damage.shelf.models import Book
from tests.damage.support import as_found, findings, largeobjects, misread, records
from tests.fixtures.connections import RawConnection, run

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "other"]),
    pytest.mark.timeout(3_600),  # with more files than by default
]


def test_each_fault_is_found_and_nothing_else(damage: Damage) -> None:
    found = [as_found(finding) for finding in findings() + misread()]
    assert len(found) == len(set(found))
    assert set(found) == damage.found


def test_the_command_says_all_of_it(damage: Damage) -> None:
    status, found = records("check", "--deep", "--database", "default")
    *each, total = found
    as_key = [(one["kind"], one["table"], one["column"], tuple(one["key"].items()), one["name"]) for one in each]
    assert {Found(*one) for one in as_key} == damage.found
    assert total["found"] == {kind: len(found) for kind, found in damage.by_kind.items()}
    assert status == 1
    _, lines = largeobjects("check", "--database", "default")
    [orphan, *_] = damage.by_kind["orphan"]
    assert any(
        line.startswith(f"orphan: default: pg_lo_storage_file.loid of loid={orphan.key[0][1]}") for line in lines
    )
    assert lines[-1].startswith("default: ")


def test_where_nothing_is_amiss_the_status_says_so(superuser: RawConnection) -> None:
    Book.objects.create(data=ContentFile(b"data", "a.txt"))
    # A stranger's, which no row and no entry names.
    run(superuser, "select lo_create(0)")
    nothing = "default: 2 large objects, 1 files in the catalogue: nothing amiss"
    assert largeobjects("check", "--deep", "--database", "default") == (0, [nothing])
    sql("delete from pg_lo_storage_file")
    assert largeobjects("check")[0] == 1
    assert largeobjects("check", "--ignore", "uncatalogued")[0] == 0
