"""The triggers take for a name what :func:`pg_lo_storage.names.parse_name` does."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pg_lo_storage.names import parse_name
from pg_lo_storage.operations import GuardFromVacuum, ManageLargeObjects
from tests.operations.support import Project, names, run, value

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("catalogue_table")]

OID = 4_000_000_000
"""Of a large object that is there: more than a signed number of 32 bits."""

SPELLINGS = [
    "{oid}",
    "{oid}.",
    "{oid}.txt",
    "{oid}.tar.gz",
    "{oid}.v1.2.pdf",
    "{oid}.äöü",
    "{oid}. x",
    "{oid}.%s" % ("x" * 100),
    "{oid}.%s" % ("x" * 101),
    "{oid}.a/b",
    "{oid}.a\\b",
    "{oid}.a\nb",
    "{oid}\n",
    "{oid}.\x7f",
    "{oid}.\x9f",
    "{oid}.\xa0",
    "{oid}x",
    " {oid}",
    "+{oid}",
    "0{oid}",
    "{oid}0",
    "x/{oid}.txt",
    "4294967296.txt",
    "99999999999999999999.txt",
    "0",
    "-5.txt",
    "٤.txt",
    "",
    ".",
    ".txt",
]


@pytest.fixture
def guarded(project: Project) -> None:
    project.table("Invoice", {"data": names(max_length=200)})
    project.apply(ManageLargeObjects("invoice", "data"), GuardFromVacuum("invoice", "data"))


def is_unlinked(name: str) -> bool:
    """Tell whether the object is gone after a row with the name came and went."""
    run("select lo_create(%s::oid)", [OID])
    if value("select to_regclass('pg_lo_storage_file') is not null"):
        run("insert into pg_lo_storage_file (loid, original_name, content_type) values (%s::oid, '', '')", [OID])
    run("insert into invoice (data) values (%s)", [name])
    run("delete from invoice")
    is_there = value("select count(*) from pg_largeobject_metadata where oid = %s::oid", [OID])
    if is_there:
        run("select lo_unlink(%s::oid)", [OID])
        run("do $$ begin delete from pg_lo_storage_file; exception when undefined_table then null; end $$")
    return not is_there


@pytest.mark.usefixtures("guarded")
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_name_and_what_is_none(spelling: str) -> None:
    name = spelling.replace("{oid}", str(OID))
    assert is_unlinked(name) == (parse_name(name) == OID)


@pytest.mark.usefixtures("guarded")
@given(suffix=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=130))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_after_an_oid(suffix: str) -> None:
    name = f"{OID}.{suffix}"
    assert is_unlinked(name) == (parse_name(name) == OID)


@pytest.mark.parametrize("catalogue_table", [False], indirect=True)
@pytest.mark.usefixtures("guarded")
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_vacuumlo_is_told_of_every_name(spelling: str) -> None:
    name = spelling.replace("{oid}", str(OID))
    run("insert into invoice (data) values (%s)", [name])
    loid = value("select pg_lo_storage_data::int8 from invoice")
    # It may be told of more: that keeps an object which is no file.
    assert loid == parse_name(name) or (parse_name(name) is None and loid in {None, OID})


@pytest.mark.parametrize("catalogue_table", [False], indirect=True)
@pytest.mark.usefixtures("guarded")
def test_vacuumlo_is_told_of_no_file_where_there_is_none() -> None:
    run("insert into invoice (data) values (null), (''), ('4294967296.txt'), ('invoices/5.txt')")
    assert run("select distinct pg_lo_storage_data from invoice") == [(None,)]
