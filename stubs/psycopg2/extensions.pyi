# What this project uses of psycopg2.extensions, and no more: https://www.psycopg.org/docs/extensions.html
#
# Binary and text large objects are told apart by the mode's letters, where `lobject` at run time is one plain
# class: write `"lobject[bytes]"` in quotes, or under TYPE_CHECKING.

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Final, Generic, Literal, Protocol, Self, TypeAlias, overload

from _typeshed import SupportsRead, SupportsWrite
from psycopg2 import Error
from typing_extensions import Buffer, TypeVar, disjoint_base

POLL_OK: Final = 0
POLL_READ: Final = 1
POLL_WRITE: Final = 2

STATUS_READY: Final = 1
STATUS_BEGIN: Final = 2
STATUS_IN_TRANSACTION: Final = 2
STATUS_PREPARED: Final = 5

TRANSACTION_STATUS_IDLE: Final = 0
TRANSACTION_STATUS_ACTIVE: Final = 1
TRANSACTION_STATUS_INTRANS: Final = 2
TRANSACTION_STATUS_INERROR: Final = 3
TRANSACTION_STATUS_UNKNOWN: Final = 4

# [r|w|rw|n][t|b], each part optional; without a `b` it is text.
_TextMode: TypeAlias = Literal["", "t", "r", "rt", "w", "wt", "rw", "rwt", "n", "nt"]
_BinaryMode: TypeAlias = Literal["b", "rb", "wb", "rwb", "nb"]

_Row: TypeAlias = tuple[object, ...]
_WaitCallback: TypeAlias = Callable[[connection], object]
_CopyFile: TypeAlias = SupportsRead[bytes] | SupportsRead[str] | SupportsWrite[bytes] | SupportsWrite[str]

_Content = TypeVar("_Content", bytes, str)
_Cursor = TypeVar("_Cursor", bound=cursor, default=cursor)

class _TypeCaster(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def values(self) -> tuple[int, ...]: ...
    def __call__(self, value: str | None, cursor: cursor | None, /) -> object: ...

BOOLEAN: _TypeCaster
BYTES: _TypeCaster
INTEGER: _TypeCaster
LONGINTEGER: _TypeCaster
UNICODE: _TypeCaster

encodings: dict[str, str]

def new_type(values: tuple[int, ...], name: str, castobj: Callable[[str | None, cursor], object]) -> _TypeCaster: ...
def register_type(type: _TypeCaster, conn_or_curs: connection | cursor | None = None, /) -> None: ...
def get_wait_callback() -> _WaitCallback | None: ...
def set_wait_callback(callback: _WaitCallback | None, /) -> None: ...

@disjoint_base
class Binary:
    def __init__(self, data: Buffer, /) -> None: ...

@disjoint_base
class Int:
    def __init__(self, value: int, /) -> None: ...

@disjoint_base
class QuotedString:
    def __init__(self, text: str | bytes, /) -> None: ...

@disjoint_base
class Column:
    def __init__(self, name: str, type_code: int) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def type_code(self) -> int: ...

@disjoint_base
class ConnectionInfo:
    def __init__(self, conn: connection, /) -> None: ...
    @property
    def backend_pid(self) -> int: ...
    @property
    def transaction_status(self) -> int: ...

@disjoint_base
class Diagnostics:
    def __init__(self, error: Error, /) -> None: ...
    @property
    def sqlstate(self) -> str | None: ...
    @property
    def message_primary(self) -> str | None: ...

@disjoint_base
class cursor:
    def __init__(self, conn: connection, name: str | None = None) -> None: ...
    @property
    def closed(self) -> bool: ...
    @property
    def description(self) -> tuple[Column, ...] | None: ...
    @property
    def rowcount(self) -> int: ...
    def execute(self, query: str | bytes, vars: Sequence[object] | Mapping[str, object] | None = None) -> None: ...
    def mogrify(self, query: str | bytes, vars: Sequence[object] | None = None) -> bytes: ...
    def copy_expert(self, sql: str | bytes, file: _CopyFile, size: int = 8192) -> None: ...
    def fetchone(self) -> _Row | None: ...
    def fetchall(self) -> list[_Row]: ...
    def close(self) -> None: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> _Row: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...

@disjoint_base
class lobject(Generic[_Content]):
    @overload
    def __init__(
        self: lobject[str],
        conn: connection,
        oid: int = 0,
        mode: _TextMode = "",
        new_oid: int = 0,
        new_file: str | None = None,
        /,
    ) -> None: ...
    @overload
    def __init__(
        self: lobject[bytes],
        conn: connection,
        oid: int,
        mode: _BinaryMode,
        new_oid: int = 0,
        new_file: str | None = None,
        /,
    ) -> None: ...
    @property
    def oid(self) -> int: ...
    @property
    def mode(self) -> str: ...
    @property
    def closed(self) -> bool: ...
    def read(self, size: int = -1, /) -> _Content: ...
    def write(self, data: bytes | str, /) -> int: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def tell(self) -> int: ...
    def truncate(self, len: int = 0, /) -> None: ...
    def export(self, filename: str, /) -> None: ...
    def unlink(self) -> None: ...
    def close(self) -> None: ...

# `connection` has methods of the same names as these classes.
_LargeObject = TypeVar("_LargeObject", bound=lobject[bytes] | lobject[str])
_TextLargeObject: TypeAlias = lobject[str]
_BinaryLargeObject: TypeAlias = lobject[bytes]

@disjoint_base
class connection:
    autocommit: bool
    notices: list[str]
    def __init__(self, dsn: str, async_: bool = False) -> None: ...
    @property
    def closed(self) -> int: ...
    @property
    def encoding(self) -> str: ...
    @property
    def info(self) -> ConnectionInfo: ...
    @property
    def server_version(self) -> int: ...
    @property
    def status(self) -> int: ...
    def cursor(
        self,
        name: str | None = None,
        cursor_factory: type[_Cursor] | None = None,
        withhold: bool = False,
        scrollable: bool | None = None,
    ) -> _Cursor: ...
    @overload
    def lobject(
        self, oid: int = 0, mode: _TextMode = "", new_oid: int = 0, new_file: str | None = None
    ) -> _TextLargeObject: ...
    @overload
    def lobject(
        self, oid: int, mode: _BinaryMode, new_oid: int = 0, new_file: str | None = None
    ) -> _BinaryLargeObject: ...
    @overload
    def lobject(
        self, oid: int = 0, *, mode: _BinaryMode, new_oid: int = 0, new_file: str | None = None
    ) -> _BinaryLargeObject: ...
    @overload
    def lobject(
        self,
        oid: int = 0,
        mode: _TextMode | _BinaryMode = "",
        new_oid: int = 0,
        new_file: str | None = None,
        *,
        lobject_factory: type[_LargeObject],
    ) -> _LargeObject: ...
    def set_session(
        self,
        isolation_level: str | int | None = None,
        readonly: bool | Literal["default"] | None = None,
        deferrable: bool | Literal["default"] | None = None,
        autocommit: bool | None = None,
    ) -> None: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def cancel(self) -> None: ...
    def poll(self) -> int: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...
