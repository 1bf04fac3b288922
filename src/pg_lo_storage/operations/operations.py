"""Migration operations: guards in the database for the large objects that a column names; see docs/database.md."""

from collections.abc import Callable, Sequence
from typing import ClassVar, Literal, cast

from django.apps import AppConfig
from django.apps import apps as project
from django.apps.registry import Apps
from django.db import connections, models, router
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation, OperationCategory
from django.db.migrations.operations.fields import RemoveField
from django.db.migrations.operations.models import DeleteModel
from django.db.migrations.state import ProjectState
from django.db.models.signals import post_migrate
from typing_extensions import override

from pg_lo_storage.databases.aliases import aliases_of_database
from pg_lo_storage.databases.file_fields import write_alias_of
from pg_lo_storage.databases.references import default_names, naming_columns
from pg_lo_storage.operations import triggers

__all__ = ["GuardFromVacuum", "ManageLargeObjects"]


class _ColumnOperation(Operation):
    """Does something to the column of a file field, in the database that has its files."""

    category: ClassVar[OperationCategory | None] = OperationCategory.SQL
    reversible: ClassVar[bool] = True
    reduces_to_sql: ClassVar[bool] = True

    def __init__(self, model_name: str, field_name: str) -> None:
        self.model_name = model_name
        self.field_name = field_name

    @override
    def deconstruct(self) -> tuple[str, list[str], dict[str, object]]:
        return type(self).__name__, [self.model_name, self.field_name], {}

    @override
    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Models stay as they are."""

    @override
    def references_model(self, name: str, app_label: str) -> bool:
        return name.lower() == self.model_name.lower()

    @override
    def reduce(self, operation: Operation, app_label: str) -> bool | list[Operation]:
        if self._is_replaced_by(operation):
            return [operation]
        return super().reduce(operation, app_label) or not operation.references_model(self.model_name, app_label)

    def _is_replaced_by(self, operation: Operation) -> bool:
        if isinstance(operation, DeleteModel):
            return operation.name.lower() == self.model_name.lower()
        if isinstance(operation, _ColumnOperation):
            column = operation.model_name, operation.field_name
            return type(operation) is type(self) and self._is_of(*column)
        return isinstance(operation, RemoveField) and self._is_of(operation.model_name, operation.name)

    def _is_of(self, model_name: str, field_name: str) -> bool:
        return (model_name.lower(), field_name) == (self.model_name.lower(), self.field_name)

    def _run(
        self,
        app_label: str,
        editor: BaseDatabaseSchemaEditor,
        state: ProjectState,
        script: Callable[[triggers.Quote, str, str], str],
    ) -> bool:
        """Run what ``script`` makes of a quoted table and a column; ``False`` where there is nothing to do here."""
        apps = cast("Apps", state.apps)
        model = apps.get_model(app_label, self.model_name)
        field = model._meta.get_field(self.field_name)
        connection = editor.connection
        alias = write_alias_of(field, connection.alias) if isinstance(field, models.FileField) else None
        if alias is None:
            raise ValueError(
                f"{app_label}.{self.model_name}.{self.field_name} is no file field on large objects:"
                f" {type(self).__name__} is for those with pg_lo_storage's storage"
            )
        # Unmanaged models, too: whoever names one here means it.
        if alias not in aliases_of_database(connection) or not router.allow_migrate_model(connection.alias, model):
            return False
        table = editor.quote_name(field.model._meta.db_table)
        editor.execute(script(editor.quote_value, table, str(field.column)), params=None)
        return True


class ManageLargeObjects(_ColumnOperation):
    """Install triggers that unlink the large objects that a file field's column names, once no row names them.

    The field does so for ``save()`` and ``delete()``, the triggers for ``QuerySet.update()``, raw SQL, cascades in the
    database, ``TRUNCATE`` and other programs; the two agree.

    ``owner`` is the role with whose rights the triggers unlink and look for references (default: the role that changes
    the rows); it needs the catalogue. ``truncate="keep"`` keeps the files of rows that ``TRUNCATE`` removes. Applied
    again, the operation brings older triggers up to date.

    ``same`` are fields of the model, such as its tenant: a row may name only a file that exists, and that no row with
    other values in these fields names. It needs the catalogue.

    :raises ValueError: an argument is wrong; or, when it runs, the field is no file field on large objects, or one of
        ``same`` is no other column of its table.
    """

    __module__ = "pg_lo_storage.operations"

    def __init__(
        self,
        model_name: str,
        field_name: str,
        *,
        owner: str | None = None,
        truncate: Literal["unlink", "keep"] = "unlink",
        same: Sequence[str] | None = None,
    ) -> None:
        super().__init__(model_name, field_name)
        if truncate not in {"unlink", "keep"}:
            raise ValueError(f'truncate is "unlink" or "keep", not {truncate!r}')
        if same is not None and (isinstance(same, str) or not same or field_name in same):
            raise ValueError(f"same is a tuple of other fields' names, not {same!r}")
        self.owner = owner
        self.truncate = truncate
        self.same: tuple[str, ...] | None = None if same is None else tuple(same)

    @override
    def deconstruct(self) -> tuple[str, list[str], dict[str, object]]:
        name, args, kwargs = super().deconstruct()
        if self.owner is not None:
            kwargs["owner"] = self.owner
        if self.truncate != "unlink":
            kwargs["truncate"] = self.truncate
        if self.same is not None:
            kwargs["same"] = self.same
        return name, args, kwargs

    @override
    def describe(self) -> str:
        return f"Manage the large objects of field {self.field_name} on {self.model_name} by triggers"

    @property
    @override
    def migration_name_fragment(self) -> str:
        return f"manage_{self.model_name}_{self.field_name}".lower()

    @override
    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        def script(quote: triggers.Quote, table: str, column: str) -> str:
            truncate, same = self.truncate == "unlink", self._same_columns(app_label, to_state)
            return triggers.install(quote, table, column, owner=self.owner, truncate=truncate, same=same)

        if self._run(app_label, schema_editor, to_state, script):
            _list_columns(schema_editor, cast("Apps", to_state.apps))
            if self.same is not None:
                self._run(app_label, schema_editor, to_state, triggers.claim)

    def _same_columns(self, app_label: str, state: ProjectState) -> list[str]:
        """Return the columns of ``same``, in the table that has the names."""
        meta = cast("Apps", state.apps).get_model(app_label, self.model_name)._meta
        own = meta.get_field(self.field_name)
        columns: list[str] = []
        for name in self.same or ():
            field = next((field for field in meta.concrete_fields if field == meta.get_field(name)), own)
            if field.column == own.column or field.model._meta.db_table != own.model._meta.db_table:
                raise ValueError(
                    f"{app_label}.{self.model_name}.{name} is no other column of the table that has {self.field_name}"
                )
            columns.append(cast("str", field.column))
        return columns

    @override
    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        self._run(app_label, schema_editor, to_state, triggers.remove)


class GuardFromVacuum(_ColumnOperation):
    """Add a stored generated column of type ``oid``, by which ``vacuumlo`` keeps the large objects that a column names.

    It is for projects without the catalogue, whose own table has the same effect. Django knows nothing of the column.
    Adding it rewrites the table. While it exists, PostgreSQL refuses to change the type of the column with the names.

    :raises ValueError: when it runs, the field is no file field on large objects.
    """

    __module__ = "pg_lo_storage.operations"

    @override
    def describe(self) -> str:
        return f"Guard the large objects of field {self.field_name} on {self.model_name} from vacuumlo"

    @property
    @override
    def migration_name_fragment(self) -> str:
        return f"guard_{self.model_name}_{self.field_name}".lower()

    @override
    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        self._run(app_label, schema_editor, to_state, triggers.add_guard_column)

    @override
    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        self._run(app_label, schema_editor, to_state, triggers.remove_guard_column)


def _list_columns(editor: BaseDatabaseSchemaEditor, registry: Apps) -> None:
    """Tell the triggers, where there are any, which columns name files, and which files are a field's default."""
    aliases = aliases_of_database(editor.connection)
    columns = {column for alias in aliases for column in naming_columns(alias, registry)}
    if columns:
        listed = sorted((editor.quote_name(table), column) for table, column in columns)
        kept = sorted({name for alias in aliases for name in default_names(alias, registry)})
        editor.execute(triggers.list_columns(editor.quote_value, listed, kept), params=None)


def _after_migrate(sender: AppConfig, using: str, apps: Apps = project, **_: object) -> None:
    """Tell triggers which columns were added, removed or renamed: once, though the signal comes for each app."""
    if sender != next(app for app in project.get_app_configs() if app.models_module is not None):
        return
    if aliases_of_database(connections[using]):
        with connections[using].schema_editor() as editor:
            _list_columns(editor, apps)
            editor.execute(triggers.refresh(editor.quote_value), params=None)


# Whoever has triggers has a migration that imports this module.
post_migrate.connect(_after_migrate, dispatch_uid="pg_lo_storage.operations")
