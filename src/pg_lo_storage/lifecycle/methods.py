"""Wraps methods of models with file fields: each save becomes a :class:`.RowSave`."""

from collections.abc import Callable, Iterable
from functools import partial, wraps
from typing import Any, Final, cast

from django.db import DEFAULT_DB_ALIAS, models, router

from pg_lo_storage.databases.file_fields import being_read
from pg_lo_storage.lifecycle.moving import refreshing
from pg_lo_storage.lifecycle.raw import no_raw_save
from pg_lo_storage.lifecycle.remembering import loading
from pg_lo_storage.lifecycle.saves import RowSave

__all__ = ["follow_rows"]

# The attribute that marks a wrapped method: children and proxies inherit it.
_FOLLOWS: Final = "pg_lo_follows"


def follow_rows(model: type[models.Model]) -> None:
    """Make each save of the model's instances a :class:`RowSave`, and have them remember what they are refreshed with.

    Children and proxies inherit both.
    """
    save_original, refresh_original = model.save_base, model.refresh_from_db

    @wraps(save_original)
    def save_base(  # noqa: PLR0917 -- Django's signature
        self: models.Model,
        raw: bool = False,
        force_insert: bool | tuple[type[models.Model], ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        using = using or router.db_for_write(type(self), instance=self)
        # Django takes any iterable, and goes through it once.
        update_fields = None if update_fields is None else frozenset(update_fields)
        save = partial(save_original, self, raw, force_insert, force_update, using, update_fields)
        if raw:
            try:
                save()
            finally:
                no_raw_save(self)
            return
        with RowSave(self, using, update_fields) as row:
            save()
            row.finish()  # nobody else does where signals are muted

    @wraps(refresh_original)
    def refresh_from_db(self: models.Model, *args: Any, **options: Any) -> None:
        with loading(self):
            refreshing(self, partial(refresh_original, self, *args, **options))

    read_original: Callable[..., Any] = cast("Any", model.from_db).__func__

    @wraps(read_original)
    def from_db(cls: type[models.Model], db: str | None, *args: Any, **options: Any) -> Any:
        if db is None or (db == DEFAULT_DB_ALIAS and not router.routers):
            return read_original(cls, db, *args, **options)
        # Images are measured, and receivers of post_init called, before Django says which database it is.
        with being_read(cls, db):
            return read_original(cls, db, *args, **options)

    _replace(model, save_base)
    _replace(model, refresh_from_db)
    _replace(model, from_db, classmethod)


def _replace(
    model: type[models.Model], method: Callable[..., Any], as_: Callable[[Callable[..., Any]], object] | None = None
) -> None:
    if not hasattr(getattr(model, method.__name__), _FOLLOWS):
        vars(method)[_FOLLOWS] = True
        setattr(model, method.__name__, as_(method) if as_ else method)
