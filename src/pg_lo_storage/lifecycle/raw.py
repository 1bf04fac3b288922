"""Raw saves, which store a row as it is: those of fixtures, and of tools that restore an older version.

While fixtures are loaded, rows that name a file may be missing, and files, too: nothing is unlinked, and a name may be
of a missing file. Django does not call the class's own ``save_base``, but sends signals.
"""

from typing import Any, Final, cast

from django.db import connections, models
from django.db.models.fields.files import FieldFile

from pg_lo_storage.databases.file_fields import rows_of, stored_fields, write_alias_of
from pg_lo_storage.databases.locking import locked
from pg_lo_storage.lifecycle.known import Known, is_committed, key_of, known, learn, learn_given, name_of
from pg_lo_storage.lifecycle.old_files import transitional
from pg_lo_storage.lifecycle.sharing import require

__all__ = ["begin_raw_save", "end_raw_save", "is_saved_raw", "no_raw_save"]

_KEY: Final = "pg_lo_raw"


def begin_raw_save(sender: type[models.Model], instance: models.Model, raw: bool, using: str, **_signal: Any) -> None:
    """Before a raw save: require that no name of a missing file replaces that of an existing one.

    :raises LargeObjectNotFound: the save would do so.
    """
    vars(instance._state)[_KEY] = False  # an earlier one may have failed
    if not raw:
        return
    learn_given(instance)
    fields = stored_fields(sender)
    rows = rows_of(sender, using).filter(pk=instance.pk)
    names = [field.attname for field in fields]
    for stored in locked(rows, *names) if connections[using].in_atomic_block else rows.values_list(*names):
        for field, before in zip(fields, stored, strict=True):
            name = name_of(vars(instance).get(field.attname))
            if name and before and before != name:
                require(
                    cast("str", write_alias_of(field, using)),
                    [name],
                    using,
                    kept=before,
                    raw=True,
                    storage=transitional(field),
                )
    vars(instance._state)[_KEY] = True


def no_raw_save(instance: models.Model) -> None:
    """Note that the raw save is over, however it ended: bulk statements hold the instance's files again."""
    vars(instance._state)[_KEY] = False


def end_raw_save(instance: models.Model) -> None:
    """Note that the raw save is over, and learn what the instance's row has now."""
    no_raw_save(instance)
    for field in stored_fields(type(instance)):
        name, memory = name_of(vars(instance).get(field.attname)), known(instance, field)
        if memory.name != name:  # else the name may be of a transaction that can still be rolled back
            learn(instance, field, Known(name, key_of(instance, field), left=memory.left))


def is_saved_raw(file: FieldFile) -> bool:
    """Tell whether the file is stored, and a raw save of its instance goes on."""
    return is_committed(file) and bool(vars(file.instance._state).get(_KEY))
