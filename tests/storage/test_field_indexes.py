"""Each field brings one index, by which the rows that name a file are found, and migrations have it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import pytest
from django.apps.registry import Apps
from django.db import connection, migrations, models
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.operations.base import Operation
from django.db.migrations.questioner import NonInteractiveMigrationQuestioner
from django.db.migrations.state import ModelState, ProjectState

from pg_lo_storage.fields import DbFileField, DbImageField, indexes
from tests.invoices.models import Invoice
from tests.operations.support import run

pytestmark = pytest.mark.once

LIKE = ["varchar_pattern_ops"]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Callable[..., type[models.Model]]:
    """``make("data", field, indexes=(), bases=())``: a model of a project that has no others."""

    def make(
        name: str, field: "models.Field[Any, Any]", bases: tuple[type[models.Model], ...] = (), **options: object
    ) -> type[models.Model]:
        registry = Apps()
        monkeypatch.setattr(indexes, "apps", registry)
        meta = type("Meta", (), {"app_label": "letters", "apps": registry, **options})
        return type("Letter", bases or (models.Model,), {name: field, "Meta": meta, "__module__": __name__})

    return make


def indexes_of(model: type[models.Model]) -> list[models.Index]:
    return list(cast("Iterable[models.Index]", model._meta.indexes))


def indexed(model: type[models.Model]) -> list[Sequence[str]]:
    return [index.fields for index in indexes_of(model)]


@pytest.mark.parametrize("field", [DbFileField(), DbImageField(null=True), DbFileField(cleanup=False)])
def test_a_field_brings_an_index_that_serves_any_locale(
    make: Callable[..., type[models.Model]], field: "models.Field[Any, Any]"
) -> None:
    [index] = indexes_of(make("data", field))
    assert type(index) is models.Index
    assert (index.fields, index.opclasses, index.condition) == (["data"], LIKE, None)
    assert index.name.startswith("letters_letter"[:11] + "_data_")
    assert index.name.endswith("_lo")


@pytest.mark.parametrize(
    ("field", "options", "expected"),
    [
        (DbFileField(db_index=False), {}, []),
        (DbFileField(db_index=True), {}, []),  # Django makes two, and the second serves
        (DbFileField(unique=True), {}, []),
        (DbFileField(), {"managed": False}, []),
        (DbFileField(), {"indexes": [models.Index(fields=["data"], name="own", opclasses=LIKE)]}, [["data"]]),
        (DbFileField(), {"indexes": [models.Index(fields=["data"])]}, [["data"], ["data"]]),
    ],
)
def test_it_brings_none_where_there_is_one_or_none_is_wanted(
    make: Callable[..., type[models.Model]],
    field: "models.Field[Any, Any]",
    options: dict[str, object],
    expected: list[list[str]],
) -> None:
    model = make("data", field, **options)
    assert indexed(model) == expected
    assert len({index.name for index in indexes_of(model)}) == len(expected)


def test_each_class_that_inherits_it_from_an_abstract_one_has_its_own(make: Callable[..., type[models.Model]]) -> None:
    base = make("data", DbFileField(), abstract=True, indexes=[models.Index(fields=["data"], name="%(class)s")])
    child = make("other", models.IntegerField(), (base,))
    assert indexed(child) == [["data"]]
    assert not [index for index in indexes_of(base) if index.opclasses]


@pytest.mark.parametrize(
    ("field", "options"),
    [
        (DbFileField(), {}),
        (DbFileField(db_index=False), {"db_index": False}),
        (DbFileField(db_index=True), {"db_index": True}),
    ],
)
def test_a_copy_of_the_field_brings_what_the_field_does(field: DbFileField, options: dict[str, bool]) -> None:
    assert field.deconstruct()[3] == {"upload_to": "", **options}
    assert field.clone().brings_index == field.brings_index == (not options)


def changes(before: ProjectState, after: ProjectState) -> list[Operation]:
    detector = MigrationAutodetector(before, after, NonInteractiveMigrationQuestioner())
    detect: Callable[[], dict[str, list[migrations.Migration]]] = vars(MigrationAutodetector)[
        "_detect_changes"
    ].__get__(detector)
    return [operation for migration in detect().get("letters", []) for operation in migration.operations]


def state(model: type[models.Model], *, bare: bool = False) -> ProjectState:
    found = ProjectState()
    of_model = ModelState.from_model(model)
    if bare:
        of_model.options["indexes"] = []
    found.add_model(of_model)
    return found


def test_a_project_that_comes_to_have_it_adds_it_by_one_operation(make: Callable[..., type[models.Model]]) -> None:
    model = make("data", DbFileField())
    [operation] = changes(state(model, bare=True), state(model))
    assert isinstance(operation, migrations.AddIndex)
    assert [operation.index] == indexes_of(model)
    assert changes(state(model), state(model)) == []


def test_where_the_field_declines_it_later_it_is_removed(make: Callable[..., type[models.Model]]) -> None:
    before, after = state(make("data", DbFileField())), state(make("data", DbFileField(db_index=False)))
    assert [type(operation) for operation in changes(before, after)] == [migrations.RemoveIndex, migrations.AlterField]


def test_the_models_of_a_migration_have_the_indexes_that_it_names(make: Callable[..., type[models.Model]]) -> None:
    with_index = state(make("data", DbFileField()))
    without = state(make("data", DbFileField()), bare=True)
    assert indexed(with_index.apps.get_model("letters", "Letter")) == [["data"]]
    assert indexed(without.apps.get_model("letters", "Letter")) == []


@pytest.mark.django_db
def test_the_table_has_one_index_for_each_field() -> None:
    rows = run(
        "select a.attname::text, o.opcname::text from pg_index as i join pg_opclass as o on o.oid = i.indclass[0]"
        " join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]"
        " where i.indrelid = %s::regclass and a.atttypid = 'varchar'::regtype order by 1",
        [Invoice._meta.db_table],
    )
    assert rows == [(name, *LIKE) for name in ("data", "elsewhere", "scan", "short")]
    assert connection.vendor == "postgresql"
