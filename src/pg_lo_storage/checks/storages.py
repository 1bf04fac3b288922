"""Which of the project's storages keep files in large objects."""

from collections.abc import Callable, Iterator, Mapping
from typing import cast

from django.conf import settings
from django.utils.module_loading import import_string

from pg_lo_storage.storage import DbFileStorage

__all__ = ["configured_storages", "storage_class"]


def storage_class(backend: object) -> type[DbFileStorage] | None:
    """Return the class of a ``BACKEND`` of ``STORAGES``; ``None`` where its files are not large objects."""
    try:
        found: object = import_string(backend) if isinstance(backend, str) else backend
    except ImportError:  # Django says so where it is used
        return None
    return found if isinstance(found, type) and issubclass(found, DbFileStorage) else None


def configured_storages() -> Iterator[tuple[str, DbFileStorage]]:
    """Yield those storages of ``STORAGES`` whose files are large objects, each with its name."""
    configured: Mapping[str, Mapping[str, object]] = settings.STORAGES
    for name, options in configured.items():
        # The others do not matter here, and making one may cost much.
        if (found := storage_class(options.get("BACKEND"))) is not None:
            make = cast("Callable[..., DbFileStorage]", found)
            try:
                yield name, make(**cast("dict[str, object]", options.get("OPTIONS", {})))
            except TypeError:  # Django says so where it is used
                continue
