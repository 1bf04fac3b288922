"""Which instance of the filesystem is given again where one like it is asked for."""

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
    """The instances that one thread was given; they go with it, and so do their connections."""

    def __init__(self) -> None:
        self.instances: dict[tuple[object, ...], object] = {}


_by_arguments: Final = _OfThread()
_by_connection: Final["weakref.WeakValueDictionary[tuple[type, int], object]"] = weakref.WeakValueDictionary()
_creating: Final = threading.Lock()


class Kept(_Cached):
    """One instance for a live connection, for as long as anybody has it; else one a thread for the same arguments.

    fsspec's own cache compares what a connection prints as, which changes with its state, and keeps all for ever: the
    connections too that were opened by threads which have ended.
    """

    def __call__(cls, *args: object, skip_instance_cache: bool = False, **options: object) -> object:  # noqa: N805 -- a metaclass
        """Return the instance that there is, or a new one."""
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
        """Have this thread be given new instances."""
        _by_arguments.instances.clear()
