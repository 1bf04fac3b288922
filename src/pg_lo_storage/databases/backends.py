"""What a database backend does of its own when it makes a cursor, as tenants' backends, which set a search path there.

Our statements go to the raw connection. Where a cursor of the backend is more than Django's own, one is made before.
Who looks on is shown them, see :mod:`pg_lo_storage.databases.watching`.
"""

import functools
import operator
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.db import connections

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.utils import CursorWrapper

__all__ = [
    "METHODS",
    "ON_INSTANCE",
    "SET_PATH_ALONE",
    "is_alike_in_threads",
    "is_changed",
    "modules_of",
    "prepare",
    "schema_of",
]

_NAMES: Final = ("cursor", "_cursor", "create_cursor", "_prepare_cursor", "make_cursor", "make_debug_cursor")
METHODS: Final = operator.attrgetter(*_NAMES)
"""Returns the methods of a backend's class that make a cursor."""
ON_INSTANCE: Final = frozenset(_NAMES)
"""Their names: instrumentation may change them on a connection alone."""

SET_PATH_ALONE: Final = ("django_tenants.postgresql_backend.", "django_pgschemas.postgresql.")
"""Of these backends it is known that their cursors set the search path, and nothing else that reading depends on."""
# Settings by which they do more.
_DO_MORE: Final = ("EXTRA_SET_TENANT_METHOD",)


@functools.lru_cache(100)
def modules_of(methods: tuple[object, ...]) -> tuple[str, ...]:
    """Return the modules that define the methods, without Django's; an empty name where that cannot be known."""
    # A function's globals tell where it was written, whatever a decorator says of it.
    modules = [str(each.__globals__.get("__name__")) if type(each) is FunctionType else "" for each in methods]
    return tuple(module for module in modules if not module.startswith("django."))


def prepare(wrapper: "BaseDatabaseWrapper") -> "CursorWrapper":
    """Have the backend do what it does before a statement; return the cursor that it has made."""
    # In a transaction, the connection may be another thread's.
    wrapper.inc_thread_sharing()
    try:
        return wrapper.cursor()
    finally:
        wrapper.dec_thread_sharing()


def is_changed(wrapper: "BaseDatabaseWrapper") -> bool:
    """Tell whether the connection itself has another method than its class; forget what only says the same again.

    Django's test cases leave such attributes when they have blocked a database.
    """
    for name in ON_INSTANCE.intersection(vars(wrapper)):
        own = vars(wrapper)[name]
        if isinstance(own, MethodType) and own.__self__ is wrapper and own.__func__ is getattr(type(wrapper), name):
            vars(wrapper).pop(name, None)
    return not ON_INSTANCE.isdisjoint(vars(wrapper))


def is_alike_in_threads(wrapper: "BaseDatabaseWrapper") -> bool:
    """Tell whether every thread's connection for the alias sees the same, but for the search path.

    Of a backend that is not known the answer is ``False``.
    """
    return (
        wrapper.settings_dict is connections.settings.get(wrapper.alias)
        and not is_changed(wrapper)
        and all(module.startswith(SET_PATH_ALONE) for module in modules_of(METHODS(type(wrapper))))
        and not any(getattr(settings, name, None) for name in _DO_MORE)
    )


def schema_of(alias: str) -> str | None:
    """Return the schema that a tenants' backend keeps in ``schema_name``; ``None`` where there is none."""
    schema: object = getattr(connections[alias], "schema_name", None) if alias in connections.settings else None
    return schema if isinstance(schema, str) else None
