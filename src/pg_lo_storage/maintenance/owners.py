"""The rows with files that belong to a user: those that refer to no user but this one."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from django.db import models

from pg_lo_storage.databases.columns import FileColumn, existing_columns
from pg_lo_storage.databases.file_fields import concrete, file_fields, rows_of
from pg_lo_storage.maintenance.uses import user_fields, user_model

if TYPE_CHECKING:
    Rows: TypeAlias = models.QuerySet[models.Model]

__all__ = ["Owned", "owned_by", "user_named"]


class Owned(NamedTuple):
    """Rows that refer to a user; ``unsure`` says why they may not be the user's own, and is empty where they are."""

    rows: "Rows"
    unsure: str


def user_named(alias: str, name: str) -> models.Model | None:
    """Return the user of that name on a database."""
    model: Any = user_model()
    if model is None or not existing_columns(alias, [FileColumn.of(model._meta.pk)]):
        return None
    return rows_of(model, alias).filter(**{model.USERNAME_FIELD: name}).first()


def owned_by(alias: str, user: models.Model) -> Iterator[Owned]:
    """Yield, for each model with files on a database, the rows that refer to the user, if there are any."""
    found = {concrete(field.model): FileColumn.of(field) for field in file_fields()}
    there = {column.column for column in existing_columns(alias, sorted(found.values()))}
    for model, column in sorted(found.items(), key=lambda item: item[0]._meta.label):
        names = [str(field.attname) for field in user_fields(model)]
        if not names or column not in there:
            continue
        conditions = [models.Q(**{name: user.pk}) for name in names]
        some = conditions[0]
        for condition in conditions[1:]:
            some |= condition
        rows = rows_of(model, alias).filter(some)
        if not rows.exists():
            continue
        unsure = ""
        if model is concrete(type(user)):
            unsure = "it is the user's own row"
        elif len(names) > 1:
            unsure = f"each refers to users by {', '.join(names)}"
        yield Owned(rows, unsure)
