"""The types of a field's options: https://docs.djangoproject.com/en/stable/ref/models/fields/#field-options."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypedDict

__all__ = ["FieldOptions"]


class FieldOptions(TypedDict, total=False):
    """The options of every field, as a file field takes them; ``cleanup`` is this package's own."""

    cleanup: bool
    max_length: int | None
    unique: bool
    blank: bool
    null: bool
    db_index: bool
    default: object
    db_default: object
    editable: bool
    auto_created: bool
    serialize: bool
    unique_for_date: str | None
    unique_for_month: str | None
    unique_for_year: str | None
    help_text: object
    db_column: str | None
    db_comment: str | None
    db_tablespace: str | None
    validators: Iterable[Callable[..., object]]
    error_messages: Mapping[str, object] | None
