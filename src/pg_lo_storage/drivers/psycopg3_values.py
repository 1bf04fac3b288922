"""How psycopg 3 writes and reads the values of this package's statements, whatever its user has registered for them."""

from typing import TYPE_CHECKING, Final, NamedTuple

from psycopg.adapt import AdaptersMap
from psycopg.postgres import register_default_adapters, types
from psycopg.types.numeric import Int8BinaryDumper, Int8Dumper
from psycopg.types.string import TextBinaryLoader
from typing_extensions import override

if TYPE_CHECKING:
    from typing import Any

    from psycopg import BaseConnection
    from psycopg.abc import Buffer

__all__ = ["ADAPTERS", "Context"]


class _TextLoader(TextBinaryLoader):
    """Reads text as ``str`` in SQL_ASCII databases too, where psycopg leaves it in bytes."""

    @override
    def load(self, data: "Buffer") -> str:
        text = super().load(data)
        return text if isinstance(text, str) else text.decode(errors="replace")


ADAPTERS: Final = AdaptersMap(types=types)
"""psycopg's own adapters, before anybody registers one; for the ``adapters`` of a cursor."""

register_default_adapters(ADAPTERS)
for _type in ("text", "varchar", "bpchar", "name", '"char"'):
    ADAPTERS.register_loader(_type, _TextLoader)
# All integers have one type. Otherwise psycopg would prepare a statement for each size of integer.
for _dumper in (Int8Dumper, Int8BinaryDumper):
    ADAPTERS.register_dumper(int, _dumper)


class Context(NamedTuple):
    """What psycopg adapts values by, where there is no cursor."""

    connection: "BaseConnection[Any]"
    adapters: AdaptersMap = ADAPTERS
