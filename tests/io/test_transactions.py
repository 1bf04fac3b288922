"""A file and the transaction it was opened in, on a plain connection."""

import os
from collections.abc import Callable

import pytest

from pg_lo_storage.drivers import LargeObjectDriver, get_driver
from pg_lo_storage.exceptions import NoTransactionError, StaleLargeObject
from pg_lo_storage.io import LargeObjectIO
from pg_lo_storage.io.modes import BinaryMode
from tests.fixtures.connections import Connect, RawConnection, run
from tests.io.files import execute, numbered_lines

DATA = numbered_lines(300_000)
FIX = (
    r" (a large object is written in|large object \d+ is opened outside) a transaction:"
    r" turn autocommit off, or begin a transaction"
    r" \(in Django, wrap the code in transaction\.atomic\(\)\)$"
)

# What asks the server, whatever is buffered.
ASKING: dict[str, Callable[[LargeObjectIO], object]] = {
    "read all": lambda file: file.read(),
    "read much": lambda file: file.read(len(DATA)),
    "readlines": lambda file: file.readlines(),
    "seek to the end": lambda file: file.seek(0, os.SEEK_END),
    "size": lambda file: file.size,
    "write": lambda file: file.write(b"x"),
    "write nothing": lambda file: file.write(b""),
    "writelines": lambda file: file.writelines([b"x"]),
    "truncate": lambda file: file.truncate(5),
}
# What a read-ahead buffer, or the position that is known, could answer.
LOCAL: dict[str, Callable[[LargeObjectIO], object]] = {
    "read": lambda file: file.read(1),
    "read1": lambda file: file.read1(1),
    "readinto": lambda file: file.readinto(bytearray(1)),
    "readline": lambda file: file.readline(),
    "next": next,
}
ENDINGS: dict[str, Callable[[RawConnection], object]] = {
    "commit": lambda connection: connection.commit(),
    "rollback": lambda connection: connection.rollback(),
    "commit and chain": lambda connection: execute(connection, "commit and chain"),
    "rollback and chain": lambda connection: execute(connection, "rollback and chain"),
    "rollback to": lambda connection: execute(connection, "rollback to opened"),
}


@pytest.fixture
def oid(driver: LargeObjectDriver, connection: RawConnection) -> int:
    """An object that is committed."""
    oid = driver.from_bytes(DATA[:1])
    with LargeObjectIO(driver, oid, "ab") as file:
        file.write(DATA[1:])
    connection.commit()
    return oid


def opened_and_ended(connection: RawConnection, oid: int, ending: str) -> LargeObjectIO:
    """Open a file, under a savepoint, and end what it was opened in."""
    execute(connection, "savepoint opened")
    file = LargeObjectIO(get_driver(connection), oid, "rb+")
    ENDINGS[ending](connection)
    return file


def test_the_plainest_program_works(connect: Connect) -> None:
    connection = connect()
    with LargeObjectIO(get_driver(connection), 0, "wb") as file:
        file.write(b"data")
    connection.commit()
    with LargeObjectIO(get_driver(connection), file.oid) as file:
        assert file.read() == b"data"
    connection.commit()


@pytest.mark.parametrize("mode", ["wb", "ab", "xb", "wb+", "rb+"])
def test_writing_in_autocommit_names_the_fix_and_leaves_nothing(
    connect: Connect, large_objects: Callable[[], set[int]], mode: BinaryMode
) -> None:
    driver = get_driver(connect(autocommit=True))
    oid = driver.from_bytes(b"data")
    with pytest.raises(NoTransactionError, match=FIX):
        LargeObjectIO(driver, oid if mode == "rb+" else 0, mode)
    assert large_objects() == {oid}
    assert driver.get(oid, 0, 9) == b"data"


def test_an_explicit_begin_in_autocommit_is_a_transaction(connect: Connect) -> None:
    connection = connect(autocommit=True)
    driver = get_driver(connection)
    execute(connection, "begin")
    with LargeObjectIO(driver, 0, "wb+") as file:
        file.write(DATA)
        file.seek(10)
        file.write(b"changed")
        file.seek(5)
        assert file.read() == DATA[5:10] + b"changed" + DATA[17:]
        assert list(file) == []
    execute(connection, "commit")
    assert driver.size(file.oid) == len(DATA)
    execute(connection, "begin")
    with LargeObjectIO(driver, 0, "wb") as lost:
        execute(connection, "rollback")
        with pytest.raises(StaleLargeObject):
            lost.write(b"x")
    assert not driver.exists(lost.oid)


@pytest.mark.parametrize("ending", ["commit", "rollback"])
@pytest.mark.parametrize("use", [*ASKING, *LOCAL])
def test_a_file_is_stale_once_its_transaction_is_over(
    connection: RawConnection, driver: LargeObjectDriver, oid: int, use: str, ending: str
) -> None:
    with LargeObjectIO(driver, oid, "rb+") as file:
        file.readline()
        ENDINGS[ending](connection)
        with pytest.raises(StaleLargeObject, match="open it again") as caught:
            (ASKING | LOCAL)[use](file)
        assert caught.value.oid == oid
        assert not driver.in_transaction


@pytest.mark.parametrize("ending", ["commit", "rollback"])
@pytest.mark.parametrize("use", [*ASKING, *LOCAL])
def test_so_is_one_that_stands_at_its_end(
    connection: RawConnection, driver: LargeObjectDriver, oid: int, use: str, ending: str
) -> None:
    """There a read needs no server to know that nothing follows."""
    with LargeObjectIO(driver, oid, "rb+") as file:
        file.read()
        assert file.read() == b""
        ENDINGS[ending](connection)
        with pytest.raises(StaleLargeObject):
            (ASKING | LOCAL)[use](file)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("use", [*ASKING, *LOCAL])
def test_a_file_is_stale_in_the_next_transaction_which_stays_usable(
    connection: RawConnection, driver: LargeObjectDriver, oid: int, use: str, ending: str
) -> None:
    with opened_and_ended(connection, oid, ending) as file:
        assert driver.exists(oid)
        with pytest.raises(StaleLargeObject, match="open it again"):
            (ASKING | LOCAL)[use](file)
        assert driver.get(oid, 0, len(DATA)) == DATA


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("use", ASKING)
def test_a_file_that_buffers_is_stale_as_well(
    connection: RawConnection, driver: LargeObjectDriver, oid: int, use: str, ending: str
) -> None:
    execute(connection, "savepoint opened")
    with LargeObjectIO(driver, oid, "rb+") as file:
        assert file.readline() == DATA[:21]
        ENDINGS[ending](connection)
        assert driver.exists(oid)
        with pytest.raises(StaleLargeObject):
            ASKING[use](file)
        assert driver.get(oid, 0, len(DATA)) == DATA


def test_what_is_buffered_is_stale_once_the_connection_is_idle(
    connection: RawConnection, driver: LargeObjectDriver, oid: int
) -> None:
    with LargeObjectIO(driver, oid, "rb") as file:
        file.readline()
        connection.commit()
        with pytest.raises(StaleLargeObject):
            file.readline()


def test_a_file_survives_the_release_of_its_savepoint(
    connection: RawConnection, driver: LargeObjectDriver, oid: int
) -> None:
    execute(connection, "savepoint opened")
    with LargeObjectIO(driver, oid, "rb+") as file:
        file.seek(3)
        execute(connection, "release opened")
        file.write(b"xy")
        file.seek(0)
        assert file.read(8) == DATA[:3] + b"xy" + DATA[5:8]


def test_a_file_survives_the_rollback_of_a_later_savepoint(
    connection: RawConnection, driver: LargeObjectDriver, oid: int
) -> None:
    with LargeObjectIO(driver, oid, "rb+") as file:
        file.write(b"kept")
        execute(connection, "savepoint later")
        file.write(b"lost")
        file.seek(100_000)
        file.write(b"lost")
        execute(connection, "rollback to later")
        assert file.tell() == 100_004
        assert file.read(4) == DATA[100_004:100_008]
        file.seek(0)
        assert file.read() == b"kept" + DATA[4:]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("use", [*ASKING, *LOCAL, "close"])
def test_another_file_on_the_reused_descriptor_is_never_reached(
    connection: RawConnection, driver: LargeObjectDriver, oid: int, use: str, ending: str
) -> None:
    stale = opened_and_ended(connection, oid, ending)
    with stale, LargeObjectIO(driver, driver.from_bytes(b"other"), "rb+") as other:
        other.seek(0, os.SEEK_END)
        assert run(connection, "select lo_tell64(0)") == [(5,)], "both had descriptor 0"
        if use == "close":
            stale.close()
        else:
            with pytest.raises(StaleLargeObject):
                (ASKING | LOCAL)[use](stale)
        assert run(connection, "select lo_tell64(0)") == [(5,)]
        other.write(b"!")
        other.seek(0)
        assert other.read() == b"other!"
        assert driver.get(oid, 0, len(DATA)) == DATA


def test_a_file_outside_a_transaction_belongs_to_none(connect: Connect, oid: int) -> None:
    connection = connect(autocommit=True)
    with LargeObjectIO(get_driver(connection), oid) as file:
        assert file.readline() == DATA[:21]
        execute(connection, "begin")
        assert file.read(100_000) == DATA[21:100_021]
        execute(connection, "rollback")
        assert file.read() == DATA[100_021:]
        assert not get_driver(connection).in_transaction


def test_a_file_outside_a_transaction_sees_what_others_write(
    connect: Connect, connection: RawConnection, driver: LargeObjectDriver, oid: int
) -> None:
    with LargeObjectIO(get_driver(connect(autocommit=True)), oid) as file:
        assert file.read(5) == DATA[:5]
        with LargeObjectIO(driver, oid, "rb+") as writer:
            writer.seek(-5, os.SEEK_END)
            writer.write(b"12345678")
        connection.commit()
        assert file.read() == DATA[5:-5] + b"12345678"
        assert file.size == len(DATA) + 3
        with LargeObjectIO(driver, oid, "ab") as writer:
            writer.write(b"9")
        connection.commit()
        assert file.read(1) == b"9"


def test_a_file_in_a_transaction_keeps_the_snapshot_of_its_opening(
    connect: Connect, connection: RawConnection, driver: LargeObjectDriver, oid: int
) -> None:
    with LargeObjectIO(get_driver(connect()), oid) as file:
        assert driver.unlink(oid)
        connection.commit()
        assert file.read() == DATA
