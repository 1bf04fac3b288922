"""The cache of instances of the filesystem."""

import os
import threading
import weakref
from typing import TYPE_CHECKING, Final

from fsspec.spec import AbstractFileSystem

if TYPE_CHECKING:
    _Cached = type
else:
    _Cached = type(AbstractFileSystem)

__all__ = ["Kept"]


class _OfThread(threading.local):
    """The instances of one thread; they and their connections go with the thread."""

    def __init__(self) -> None:
        self.instances: dict[tuple[object, ...], object] = {}


_by_arguments: Final = _OfThread()
_by_connection: Final["weakref.WeakValueDictionary[tuple[type, int], object]"] = weakref.WeakValueDictionary()
_creating: Final = threading.Lock()


class Kept(_Cached):
    """Keeps one instance for a given connection while anybody has it, else one for each thread and its arguments.

    fsspec's own cache compares a connection's ``repr()``, which changes with its state. It also keeps all instances for
    ever, with the connections of threads that have ended.
    """

    def __call__(cls, *args: object, skip_instance_cache: bool = False, **options: object) -> object:  # noqa: N805 -- a metaclass
        """Return the kept instance, or a new one."""
        if skip_instance_cache:
            return super().__call__(*args, **options)
        if (connection := options.get("connection")) is None:
            # A child of fork() must not go on with what its parent has begun.
            key = (cls, os.getpid(), repr(args), repr(sorted(options.items())))
            if key not in _by_arguments.instances:
                _by_arguments.instances[key] = super().__call__(*args, **options)
            return _by_arguments.instances[key]
        with _creating:
            of_connection = (cls, id(connection))
            if (instance := _by_connection.get(of_connection)) is None:
                instance = _by_connection[of_connection] = super().__call__(*args, **options)
            return instance

    def forget_instances(cls) -> None:  # noqa: N805 -- a metaclass
        """Forget the instances of this thread."""
        _by_arguments.instances.clear()
