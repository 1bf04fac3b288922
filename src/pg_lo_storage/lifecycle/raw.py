"""Raw saves, which store a row as it is: of fixtures, and of tools that bring an older version back.

While fixtures are loaded not every row that names a file is there yet, nor every file: nothing is unlinked, and a name
may be of a file that is missing. Django passes the class's own ``save_base`` by, and sends signals.
"""

from typing import Any, Final, cast

from django.db import connections, models
from django.db.models.fields.files import FieldFile

from pg_lo_storage.databases.file_fields import rows_of, stored_fields, write_alias_of
from pg_lo_storage.lifecycle.known import Known, is_committed, key_of, known, learn, learn_given, name_of
from pg_lo_storage.lifecycle.sharing import require

__all__ = ["begin_raw_save", "end_raw_save", "is_saved_raw", "no_raw_save"]

_KEY: Final = "pg_lo_raw"


def begin_raw_save(sender: type[models.Model], instance: models.Model, raw: bool, using: str, **_signal: Any) -> None:
    """Refuse to have the name of no file put in the place of a live one.

    :raises LargeObjectNotFound: that is what the instance is about to do.
    """
    vars(instance._state)[_KEY] = False  # an earlier one may have failed
    if not raw:
        return
    learn_given(instance)
    fields = stored_fields(sender)
    rows = rows_of(sender, using).filter(pk=instance.pk)
    if connections[using].in_atomic_block:
        rows = rows.select_for_update(no_key=True)
    for stored in rows.values_list(*(field.attname for field in fields)):
        for field, before in zip(fields, stored, strict=True):
            name = name_of(vars(instance).get(field.attname))
            if name and before and before != name:
                require(cast("str", write_alias_of(field)), [name], kept=before, raw=True)
    vars(instance._state)[_KEY] = True


def no_raw_save(instance: models.Model) -> None:
    """Note that no raw save goes on, however it ended: bulk statements hold the instance's names again."""
    vars(instance._state)[_KEY] = False


def end_raw_save(instance: models.Model) -> None:
    """Learn what the instance's row has now."""
    no_raw_save(instance)
    for field in stored_fields(type(instance)):
        name, memory = name_of(vars(instance).get(field.attname)), known(instance, field)
        if memory.name != name:  # else it may still be of a transaction that is rolled back
            learn(instance, field, Known(name, key_of(instance, field), left=memory.left))


def is_saved_raw(file: FieldFile) -> bool:
    """Tell whether the file's instance is being saved as it is."""
    return is_committed(file) and bool(vars(file.instance._state).get(_KEY))
