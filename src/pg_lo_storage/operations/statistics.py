"""A view of the figures on all files, for a role that monitors."""

from typing import ClassVar

from django.db import router
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation, OperationCategory
from django.db.migrations.state import ProjectState
from typing_extensions import override

from pg_lo_storage.operations import templates

__all__ = ["ShowStatistics"]


class ShowStatistics(Operation):
    """Create the view ``pg_lo_storage_stats``, beside the catalogue, with one row of figures on all files.

    Whoever may ``SELECT`` from it needs no right to the catalogue, or to any file. It needs the catalogue, so
    ``("pg_lo_storage", "0001_initial")`` belongs to the migration's dependencies; on databases that have none, as the
    routers say, it does nothing.
    """

    __module__ = "pg_lo_storage.operations"

    category: ClassVar[OperationCategory | None] = OperationCategory.SQL
    reversible: ClassVar[bool] = True
    reduces_to_sql: ClassVar[bool] = True

    @override
    def deconstruct(self) -> tuple[str, list[object], dict[str, object]]:
        return type(self).__name__, [], {}

    @override
    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Models stay as they are."""

    @override
    def describe(self) -> str:
        return "Show figures on stored files by the view pg_lo_storage_stats"

    @property
    @override
    def migration_name_fragment(self) -> str:
        return "show_statistics"

    @override
    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        _run("show_statistics", schema_editor)

    @override
    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        _run("hide_statistics", schema_editor)


def _run(script: str, editor: BaseDatabaseSchemaEditor) -> None:
    connection = editor.connection
    if connection.vendor == "postgresql" and router.allow_migrate(
        connection.alias, "pg_lo_storage", model_name="storedfile"
    ):
        editor.execute(templates.script(script), params=None)
