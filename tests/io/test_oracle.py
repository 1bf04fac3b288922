"""Random sequences of calls, on a large object and on a real file: the same results, errors, positions and bytes."""

import errno
import io
import os
from collections.abc import Callable
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast, get_args

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from pg_lo_storage.drivers import LargeObjectDriver, get_driver
from pg_lo_storage.io.modes import BinaryMode
from pg_lo_storage.storage import DbFileIO
from tests.fixtures.connections import Connect, RawConnection
from tests.io.files import numbered_lines

# The pages, buffers and blocks that a length or a position may lie at the border of.
BORDERS = [edge + step for edge in (2048, 8192, 65536, 262144, 300_000) for step in (-1, 0, 1)]
LENGTHS = st.one_of(st.integers(0, 40), st.sampled_from(BORDERS))
SIZES = st.one_of(LENGTHS, st.sampled_from([-1, None]))
OFFSETS = st.one_of(st.integers(-20, 60), st.sampled_from([*BORDERS, *(-border for border in BORDERS)]))
MODES: tuple[BinaryMode, ...] = get_args(BinaryMode)
EXAMPLES = int(os.environ.get("PG_LO_TEST_EXAMPLES", "150"))
SETTINGS = settings(max_examples=EXAMPLES, stateful_step_count=25, deadline=None, derandomize=True, database=None)

EITHER = (TypeError, io.UnsupportedOperation)

Call = Callable[[BinaryIO], object]

MISUSES: dict[str, Call] = {
    "read(-2)": lambda file: file.read(-2),
    "read('1')": lambda file: file.read(cast("Any", "1")),
    "read(1.5)": lambda file: file.read(cast("Any", 1.5)),
    "readline('1')": lambda file: file.readline(cast("Any", "1")),
    "readlines('1')": lambda file: file.readlines(cast("Any", "1")),
    "readinto(b'')": lambda file: cast("Any", file).readinto(b"read-only"),
    "seek(None)": lambda file: file.seek(cast("Any", None)),
    "seek(1.0)": lambda file: file.seek(cast("Any", 1.0)),
    "seek(0, 5)": lambda file: file.seek(0, 5),
    "seek(0, -1)": lambda file: file.seek(0, -1),
    "seek(0, 1.0)": lambda file: file.seek(0, cast("Any", 1.0)),
    "seek(0, '0')": lambda file: file.seek(0, cast("Any", "0")),
    "truncate(-1)": lambda file: file.truncate(-1),
    "truncate('1')": lambda file: file.truncate(cast("Any", "1")),
    "truncate(1.5)": lambda file: file.truncate(cast("Any", 1.5)),
    "write('text')": lambda file: file.write(cast("Any", "text")),
    "write(None)": lambda file: file.write(cast("Any", None)),
    "write(5)": lambda file: file.write(cast("Any", 5)),
    "writelines('text')": lambda file: file.writelines(cast("Any", "text")),
}


@cache
def text(size: int, length: int) -> bytes:
    return numbered_lines(size, length)


TEXTS = st.builds(text, LENGTHS, st.sampled_from([1, 30, 5000, 100_000]))


class Reading(RuleBasedStateMachine):
    """``ours`` is the file under test, ``theirs`` a real one."""

    modes: tuple[BinaryMode, ...] = tuple(mode for mode in MODES if set(mode) == {"r", "b"})

    def __init__(self, driver: LargeObjectDriver, path: Path) -> None:
        super().__init__()
        self._driver = driver
        self._path = path
        self._oid = 0

    @initialize(content=TEXTS)
    def start(self, content: bytes) -> None:
        self._oid = self._driver.from_bytes(content)
        self._path.write_bytes(content)
        self._open("rb")

    @rule(size=SIZES)
    def read(self, size: int | None) -> None:
        self._both(lambda file: file.read(cast("int", size)))

    @rule(size=LENGTHS)
    def read1(self, size: int) -> None:
        try:
            block = self.ours.read1(size)
        except Exception as error:  # noqa: BLE001 -- compared with what the real file raises
            self._same_error(error, lambda file: cast("Any", file).read1(size))
            return
        # How much it gives is the buffer's affair; nothing at all means the end.
        assert len(block) <= size
        assert self.theirs.read(len(block) or min(size, 1)) == block

    @rule(size=LENGTHS)
    def readinto(self, size: int) -> None:
        def readinto(file: BinaryIO) -> tuple[int, bytes]:
            target = bytearray(size)
            return cast("Any", file).readinto(target), bytes(target)

        self._both(readinto)

    @rule(size=SIZES.filter(lambda size: size != 0))
    def readline(self, size: int | None) -> None:
        self._both(lambda file: file.readline(cast("int", size)))

    @rule(hint=SIZES)
    def readlines(self, hint: int | None) -> None:
        self._both(lambda file: file.readlines(cast("int", hint)))

    @rule(count=st.integers(1, 4))
    def iterate_and_break(self, count: int) -> None:
        self._both(lambda file: list(islice(file, count)))

    @rule(offset=OFFSETS, whence=st.sampled_from([os.SEEK_SET, os.SEEK_CUR, os.SEEK_END]))
    def seek(self, offset: int, whence: int) -> None:
        self._both(lambda file: file.seek(offset, whence))

    @rule(misuse=st.sampled_from(sorted(MISUSES)))
    def misuse(self, misuse: str) -> None:
        if not self.theirs.closed:
            self._both(MISUSES[misuse])

    @rule()
    def close(self) -> None:
        self._both(lambda file: file.close())
        assert self.ours.closed

    @rule(data=st.data())
    def open_again(self, data: st.DataObject) -> None:
        self._close()
        self._open(data.draw(st.sampled_from(self.modes)))

    @invariant()
    def same_position(self) -> None:
        if self._oid:
            self._both(lambda file: file.tell())

    def teardown(self) -> None:
        if self._oid:
            self._close()

    def _open(self, mode: BinaryMode, oid: int | None = None) -> None:
        self.mode = mode
        try:
            self.theirs = open_real(self._path, mode)
        except FileExistsError:
            with pytest.raises(FileExistsError) as caught:
                DbFileIO(self._oid, mode, driver=self._driver)
            assert caught.value.errno == errno.EEXIST
            return
        self.ours = DbFileIO(self._oid if oid is None else oid, mode, driver=self._driver)
        self._oid = self.ours.oid

    def _close(self) -> None:
        self.ours.close()
        self.theirs.close()
        assert self._driver.get(self._oid, 0, self._driver.size(self._oid)) == self._path.read_bytes()

    def _both(self, call: Call) -> None:
        try:
            ours = call(self.ours)
        except Exception as error:  # noqa: BLE001 -- compared with what the real file raises
            self._same_error(error, call)
            return
        theirs = call(self.theirs)
        assert (type(ours), ours) == (type(theirs), theirs)

    def _same_error(self, ours: Exception, call: Call) -> None:
        with pytest.raises(Exception) as caught:  # noqa: PT011 -- whatever it is, ours is one too
            call(self.theirs)
        if self.theirs.closed:
            # There CPython's classes differ: some say UnsupportedOperation, which is a ValueError.
            assert isinstance(ours, ValueError)
            return
        if isinstance(caught.value, EITHER) and not (self.theirs.readable() and self.theirs.writable()):
            # A wrong argument in a direction that is wrong as well: which is named first, is an accident.
            assert isinstance(ours, EITHER)
            return
        assert isinstance(ours, type(caught.value))
        if isinstance(caught.value, OSError) and isinstance(ours, OSError):
            assert ours.errno == caught.value.errno


class ReadingAndWriting(Reading):
    modes = MODES

    @rule(data=TEXTS, kind=st.sampled_from([bytes, bytearray, memoryview]))
    def write(self, data: bytes, kind: Callable[[bytes], bytes]) -> None:
        self._write(lambda file: file.write(kind(data)), empty=not data)

    @rule(lines=st.lists(TEXTS, min_size=1, max_size=3), misfit=st.sampled_from([[], ["text"], [None]]))
    def writelines(self, lines: list[bytes], misfit: list[Any]) -> None:
        self._write(lambda file: file.writelines([*lines, *misfit]), empty=not any(lines))

    @rule(size=st.one_of(LENGTHS, st.none()))
    def truncate(self, size: int | None) -> None:
        self._both(lambda file: file.truncate(size))

    @rule(mode=st.sampled_from([mode for mode in MODES if "r" not in mode]))
    def create(self, mode: BinaryMode) -> None:
        self._close()
        self._path.unlink()
        self._open(mode, 0)

    def _write(self, call: Call, *, empty: bool) -> None:
        if "a" in self.mode and not empty and not self.theirs.closed:
            # A real file appends wherever it stands, but its buffer then loses count: stand at the end.
            self.theirs.seek(0, os.SEEK_END)
        self._both(call)


def open_real(path: Path, mode: BinaryMode) -> BinaryIO:
    """Open a real file; ``w`` does not truncate it: this one difference is documented."""

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags & ~os.O_TRUNC, 0o600)

    return open(path, mode, opener=opener)


def test_in_a_transaction(connection: RawConnection, tmp_path: Path) -> None:
    driver = get_driver(connection)

    class Machine(ReadingAndWriting):
        def __init__(self) -> None:
            connection.rollback()
            super().__init__(driver, tmp_path / "file")

    run_state_machine_as_test(Machine, settings=SETTINGS)


def test_outside_a_transaction(connect: Connect, tmp_path: Path) -> None:
    driver = get_driver(connect(autocommit=True))

    class Machine(Reading):
        def __init__(self) -> None:
            super().__init__(driver, tmp_path / "file")

    run_state_machine_as_test(Machine, settings=SETTINGS)


@pytest.mark.parametrize("mode", ["wb", "wb+"])
def test_the_oracle_does_not_truncate(tmp_path: Path, mode: BinaryMode) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"data")
    with open_real(path, mode) as file:
        file.write(b"D")
    assert path.read_bytes() == b"Data"
