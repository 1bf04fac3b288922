"""Tables whose columns name files, made and managed as a migration does, and what there is afterwards."""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import connection, models
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState

from pg_lo_storage import operations
from pg_lo_storage.fields import DbFileField

SQL_FILES = Path(operations.__file__).with_name("sql")


def run(query: str, params: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
    """Run a query in Django's connection and return its rows, if any."""
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return cursor.fetchall() if cursor.description else []


def value(query: str, params: Sequence[Any] | None = None) -> Any:
    """Return the only value of the only row."""
    [(found,)] = run(query, params)
    return found


def copy_in(target: str, values: Iterable[str]) -> None:
    """COPY the values into a table's column, with the driver that Django has."""
    data = "".join(f"{found}\n" for found in values)
    query = f"copy {target} from stdin"
    with connection.cursor() as cursor:
        if hasattr(cursor, "copy_expert"):
            cursor.copy_expert(query, io.StringIO(data))
            return
        with cursor.copy(query) as copy:
            copy.write(data)


@dataclass
class Project:
    """The models of an app as its migrations see them, and operations applied to them; the app is in no project."""

    state: ProjectState = field(default_factory=ProjectState)
    label: str = "guarded"

    def table(
        self, name: str, fields: "Mapping[str, models.Field[Any, Any]]", *, db_table: str = "", create: bool = True
    ) -> None:
        """Add a model, and by default its table."""
        key: dict[str, models.Field[Any, Any]] = {"id": models.BigAutoField(primary_key=True)}
        model = ModelState(
            self.label, name, list({**key, **fields}.items()), options={"db_table": db_table or name.lower()}
        )
        self.state.add_model(model)
        if create:
            self.create(name)

    def create(self, name: str) -> None:
        """Make a model's table."""
        with connection.schema_editor() as editor:
            editor.create_model(self.state.apps.get_model(self.label, name))

    def apply(self, *operations: Operation) -> None:
        """Apply the operations to the database, and to the state."""
        for operation in operations:
            before, after = self.state, self.state.clone()
            operation.state_forwards(self.label, after)
            with connection.schema_editor() as editor:
                operation.database_forwards(self.label, editor, before, after)
            self.state = after

    def reverse(self, operation: Operation) -> None:
        """Undo an operation that does not change the state."""
        with connection.schema_editor() as editor:
            operation.database_backwards(self.label, editor, self.state, self.state)


def names(**options: Any) -> DbFileField:
    """Return a field that names files."""
    return DbFileField(null=True, blank=True, **options)


def make_file(extension: str = ".txt") -> str:
    """Make a large object, with an entry where there is a catalogue, and return its name."""
    loid = value("select lo_from_bytea(0, 'content')::int8")
    if value("select to_regclass('pg_lo_storage_file') is not null"):
        run(
            "insert into pg_lo_storage_file (loid, extension, original_name, content_type) values (%s, %s, '', '')",
            [loid, extension],
        )
    return f"{loid}{extension}"


def files() -> set[str]:
    """Return the oids of all large objects; those that are left in the catalogue, where there is one, are of them."""
    found = {loid for (loid,) in run("select oid::text from pg_largeobject_metadata")}
    if value("select to_regclass('pg_lo_storage_file') is not null"):
        entries = {loid for (loid,) in run("select loid::text from pg_lo_storage_file")}
        assert entries == found or not entries
    return found


def loids(*found: str) -> set[str]:
    """Return the oids of the names."""
    return {name.partition(".")[0] for name in found}


def trigger_names(table: str) -> set[str]:
    """Return the names of the table's triggers, constraints left aside."""
    query = "select tgname from pg_trigger where tgrelid = %s::regclass and not tgisinternal"
    return {name for (name,) in run(query, [table])}
