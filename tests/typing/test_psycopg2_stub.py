"""What ``stubs/psycopg2`` promises, under mypy and pyright alike: checked, never run."""

from typing import TYPE_CHECKING, assert_type

if TYPE_CHECKING:
    import io

    import psycopg2
    from psycopg2 import extensions as ext

    class RecordingConnection(ext.connection): ...

    class RecordingCursor(ext.cursor): ...

    class RecordingLargeObject(ext.lobject[bytes]): ...


def binary_modes_read_bytes(connection: "ext.connection", writing: bool) -> None:
    native = connection.lobject(0, "rwb")
    assert_type(native, "ext.lobject[bytes]")
    assert_type(native.read(), bytes)
    assert_type(native.read(10), bytes)
    assert_type(connection.lobject(mode="b"), "ext.lobject[bytes]")
    assert_type(connection.lobject(1, "rwb" if writing else "rb"), "ext.lobject[bytes]")
    assert_type(connection.lobject(oid=0, mode="nb", new_oid=1, new_file="/a"), "ext.lobject[bytes]")
    assert_type(ext.lobject(connection, 0, "wb"), "ext.lobject[bytes]")


def text_is_the_default(connection: "ext.connection") -> None:
    assert_type(connection.lobject(), "ext.lobject[str]")
    assert_type(connection.lobject(0, "rt").read(), str)
    assert_type(connection.lobject(0, "rw").read(), str)
    assert_type(ext.lobject(connection), "ext.lobject[str]")
    expected: ext.lobject[bytes] = connection.lobject(0, "rw")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  no b
    expected.close()


def modes_are_psycopg2s_own(connection: "ext.connection", mode: str) -> None:
    connection.lobject(0, "r+b")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]  io's, not psycopg2's
    connection.lobject(0, "br")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]  wrong order
    connection.lobject(0, mode)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]  bytes or str?


def what_a_lobject_takes_and_gives(native: "ext.lobject[bytes]") -> None:
    assert_type(native.write(b"data"), int)
    assert_type(native.write("data"), int)
    native.write(memoryview(b"data"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  a TypeError at run time
    native.write(bytearray(b"data"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  a TypeError at run time
    native.read(size=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  positional only
    assert_type(native.seek(0, 2), int)
    assert_type(native.tell(), int)
    assert_type((native.oid, native.mode, native.closed), tuple[int, str, bool])


def factories_give_what_they_make(connection: "ext.connection") -> None:
    assert_type(psycopg2.connect("dbname=a"), "ext.connection")
    assert_type(psycopg2.connect(host="a", port=5432, connection_factory=RecordingConnection), "RecordingConnection")
    assert_type(connection.cursor(), "ext.cursor")
    assert_type(connection.cursor(cursor_factory=RecordingCursor), "RecordingCursor")
    made = connection.lobject(0, "wb", lobject_factory=RecordingLargeObject)
    assert_type(made, "RecordingLargeObject")


def rows_are_of_unknown_content(connection: "ext.connection") -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute("select %s", [psycopg2.Binary(memoryview(b"data"))])
        cursor.execute(b"select %(a)s", {"a": 1})
        cursor.execute("select %s", 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  parameters stand in a sequence
        cursor.copy_expert("copy a to stdout", io.BytesIO())
        assert_type(cursor.fetchone(), tuple[object, ...] | None)
        assert_type(cursor.fetchall(), list[tuple[object, ...]])
        for row in cursor:
            assert_type(row, tuple[object, ...])
        assert_type([column.name for column in cursor.description or ()], list[str])


def errors_carry_a_code_or_none(error: "psycopg2.Error") -> None:
    assert_type((error.pgcode, error.diag.sqlstate), tuple[str | None, str | None])
    assert_type(psycopg2.extensions.get_wait_callback() is None, bool)
