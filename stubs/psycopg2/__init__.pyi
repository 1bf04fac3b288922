# What this project uses of psycopg2, and no more: https://www.psycopg.org/docs/module.html

from psycopg2 import extensions as extensions
from psycopg2.extensions import Binary as Binary
from psycopg2.extensions import (
    Diagnostics,
    _TypeCaster,  # pyright: ignore[reportPrivateUsage]  has no public name at run time either
    connection,
    cursor,
)
from typing_extensions import TypeVar, disjoint_base

_Connection = TypeVar("_Connection", bound=connection, default=connection)

__version__: str

BINARY: _TypeCaster
ROWID: _TypeCaster

def connect(
    dsn: str | None = None,
    connection_factory: type[_Connection] | None = None,
    cursor_factory: type[cursor] | None = None,
    **kwargs: str | int | None,
) -> _Connection: ...

@disjoint_base
class Error(Exception):
    @property
    def pgcode(self) -> str | None: ...
    @property
    def pgerror(self) -> str | None: ...
    @property
    def diag(self) -> Diagnostics: ...
    def __setstate__(self, state: dict[str, object] | None, /) -> None: ...

class InterfaceError(Error): ...
class DatabaseError(Error): ...
class DataError(DatabaseError): ...
class IntegrityError(DatabaseError): ...
class InternalError(DatabaseError): ...
class NotSupportedError(DatabaseError): ...
class OperationalError(DatabaseError): ...
class ProgrammingError(DatabaseError): ...
