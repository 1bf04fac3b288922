"""The snippets of docs/database.md do what the text says."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, migrations, models

from pg_lo_storage.operations import ManageLargeObjects
from tests.operations.support import Project, files, make_file, names, run, value

pytestmark = [pytest.mark.django_db, pytest.mark.once]

PAGE = Path(__file__).parents[2] / "docs" / "database.md"


def snippets() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def migration(snippet: str) -> migrations.Migration:
    namespace: dict[str, Any] = {"__name__": "invoices.migrations"}
    exec(compile(snippet, str(PAGE), "exec"), namespace)
    made: migrations.Migration = namespace["Migration"]("0002_guards", "invoices")
    return made


def test_migrations() -> None:
    manage, owned, same, guard = snippets()
    project = Project(label="invoices")
    project.table("Invoice", {"data": names()})
    project.apply(*migration(manage).operations, *migration(guard).operations)
    name = make_file()
    run("insert into invoice (data) values (%s)", [name])
    assert value("select pg_lo_storage_data::text from invoice") == name.partition(".")[0]
    run("update invoice set data = ''")
    assert files() == set()
    operation = eval(owned, {"ManageLargeObjects": ManageLargeObjects})
    assert operation.owner == "files"
    project.table("Bill", {"data": names(), "tenant": models.IntegerField()}, db_table="bill")
    project.apply(eval(same.replace("invoice", "bill"), {"ManageLargeObjects": ManageLargeObjects}))
    with pytest.raises(IntegrityError, match="a row with another tenant names"):
        run("insert into bill (data, tenant) values ('4000000000.txt', 1)")
