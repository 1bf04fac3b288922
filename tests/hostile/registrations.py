"""Adapters that a connection's user registers, for values that the package means to be something else."""

import importlib
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from typing import Any

READ_AS: dict[str, tuple[int, Callable[[Any], object]]] = {
    "bytea": (17, str),
    "int8": (20, Decimal),
    "int4": (23, Decimal),
    "oid": (26, str),
    "bool": (16, str),
    "text": (25, lambda text: text.encode() if isinstance(text, str) else text),
}
"""By the type's name its oid, and what its values are read as."""

WRITTEN: list[type] = [bytes, bytearray, memoryview, int, str, list]
"""The classes whose values are not written as they are."""


def register(connection: Any, read: Sequence[str] = tuple(READ_AS), written: Sequence[type] = ()) -> None:
    """Have the connection read, and psycopg's write, values as nobody expects them."""
    if type(connection).__module__.partition(".")[0] == "psycopg":
        _register_of_psycopg(connection, read, written)
        return
    for name in read:
        _extensions().register_type(_type(name), connection)


def _register_of_psycopg(context: Any, read: Sequence[str], written: Sequence[type]) -> None:
    from psycopg.adapt import Dumper
    from psycopg.pq import Format

    for name in read:
        oid, convert = READ_AS[name]
        for form in (Format.TEXT, Format.BINARY):
            usual: Any = context.adapters.get_loader(oid, form)
            loader = type("Loader", (_Loader,), {"format": form, "usual": usual, "convert": staticmethod(convert)})
            context.adapters.register_loader(oid, loader)
    for cls in written:
        for form in (Format.BINARY, Format.TEXT):
            context.adapters.register_dumper(cls, type("Dumping", (_Dumper, Dumper), {"format": form}))


class _Dumper:
    def dump(self, _value: object) -> bytes:
        return b"not this"


class _Loader:
    usual: Any
    convert: Callable[[Any], object]

    def __init__(self, oid: int, context: Any = None) -> None:
        self._usual = self.usual(oid, context)

    def load(self, data: Any) -> object:
        return self.convert(self._usual.load(data))


def _type(name: str) -> Any:
    oid, convert = READ_AS[name]
    usual: Any = _extensions().string_types[oid]

    def read(value: str | None, cursor: object) -> object:
        return convert(usual(value, cursor))

    return _extensions().new_type((oid,), name.upper(), read)


def _extensions() -> Any:
    return importlib.import_module("psycopg2.extensions")


@contextmanager
def registered_everywhere(driver_name: str) -> Generator[None]:
    """Have all connections that the driver opens read and write values as nobody expects them."""
    with ExitStack() as stack:
        if driver_name == "psycopg":
            _everywhere_of_psycopg(stack)
        else:
            _everywhere_of_psycopg2(stack)
        yield


def _everywhere_of_psycopg(stack: ExitStack) -> None:
    import psycopg
    from psycopg.adapt import PyFormat
    from psycopg.pq import Format

    adapters: Any = psycopg.adapters
    for oid, _ in READ_AS.values():
        for form in Format:
            stack.callback(adapters.register_loader, oid, adapters.get_loader(oid, form))
    for cls in WRITTEN:
        for kind in (PyFormat.AUTO, PyFormat.TEXT, PyFormat.BINARY):  # called back from the last
            stack.callback(adapters.register_dumper, cls, adapters.get_dumper(cls, kind))
    _register_of_psycopg(psycopg, tuple(READ_AS), tuple(WRITTEN))


def _everywhere_of_psycopg2(stack: ExitStack) -> None:
    extensions = _extensions()
    for registered in (extensions.string_types, extensions.adapters):
        stack.callback(registered.update, dict(registered))
    for name in READ_AS:
        extensions.register_type(_type(name))
    for cls in WRITTEN:
        extensions.register_adapter(cls, _otherwise)


def _otherwise(_value: object) -> Any:
    return _extensions().AsIs("'not this'")
