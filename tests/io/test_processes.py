"""A file in a second thread, in a child process, and in an interpreter that exits."""

import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from example.cluster import Server
from pg_lo_storage.drivers import LargeObjectDriver, get_driver
from pg_lo_storage.io import LargeObjectIO
from tests.fixtures.connections import Connect, run
from tests.io.files import execute, numbered_lines

DATA = numbered_lines(300_000, 9)

# A program that has written "data" to a file which is open, in a transaction.
OPEN = """
import gc, io, os, sys
from importlib import import_module
from pg_lo_storage.drivers import get_driver
from pg_lo_storage.exceptions import StaleLargeObject
from pg_lo_storage.io import LargeObjectIO

connection = import_module(sys.argv[1]).connect(sys.argv[2])
driver = get_driver(connection)
file = LargeObjectIO(driver, 0, "wb+")
file.write(b"data")
file.seek(0)
"""

# The child's end must not reach the server over the connection that it shares with its parent.
FORK = """
text = io.TextIOWrapper(file)
text.write("pending")
child = os.fork()
if not child:
    for use in (file.read, file.tell, lambda: file.write(b"x"), lambda: file.size):
        try:
            use()
        except StaleLargeObject as error:
            assert f"large object {{file.oid}} was opened by another process: open it again" in str(error)
            assert error.oid == file.oid
        else:
            sys.exit("not stale")
    {end}
_, status = os.waitpid(child, 0)
assert status == 0, status
text.detach()
file.seek(0)
file.truncate()
file.write(b"more")
file.seek(0)
assert file.read() == b"more"
assert driver.get(file.oid, 0, 9) == b"more"
file.close()
connection.commit()
assert driver.get(file.oid, 0, 9) == b"more"
connection.close()
"""


@pytest.fixture
def run_program(driver_name: str, server: Server) -> Callable[[str], "subprocess.CompletedProcess[str]"]:
    """Run a program that begins with OPEN."""

    def run_program(source: str) -> "subprocess.CompletedProcess[str]":
        program = [sys.executable, "-c", OPEN + source, driver_name, server.dsn()]
        return subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)

    return run_program


@pytest.mark.parametrize(
    "end",
    [
        "os._exit(0)",
        "file.close(); os._exit(0)",
        "del text, file, use; gc.collect(); os._exit(0)",
        "sys.exit(0)",
        "file.close(); sys.exit(0)",
        "del text, file, use; gc.collect(); sys.exit(0)",
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_child_process_never_touches_its_parents_connection(
    run_program: Callable[[str], "subprocess.CompletedProcess[str]"], end: str
) -> None:
    done = run_program(FORK.format(end=end))
    assert done.stderr == ""
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    "leave_open",
    [
        "",
        "reader = io.BufferedReader(file); reader.read(1)",
        "writer = io.BufferedWriter(file); writer.write(b'pending')",
        "both = io.BufferedRandom(file); both.write(b'pending')",
        "text = io.TextIOWrapper(file); text.write('pending')",
        "cycle = [file]; cycle.append(cycle); del file",
        "sys.modules['keeper'] = file",
        "connection.rollback()",
        "connection.close()",
        "raise SystemExit",
    ],
)
def test_an_interpreter_that_exits_with_an_open_file_says_nothing(
    run_program: Callable[[str], "subprocess.CompletedProcess[str]"],
    large_objects: Callable[[], set[int]],
    leave_open: str,
) -> None:
    done = run_program(leave_open)
    assert done.stderr == ""
    assert (done.returncode, done.stdout) == (0, "")
    assert not large_objects()


def test_threads_share_a_file_one_at_a_time(driver: LargeObjectDriver) -> None:
    lines: list[bytes] = []
    with LargeObjectIO(driver, 0, "wb+") as file:
        file.write(DATA)
        file.seek(0)

        def read_lines() -> None:
            # Of 10 bytes each, so that any of them read in part, twice or never would show.
            while line := file.read(10):
                lines.append(line)

        in_threads(read_lines)
        assert sorted(lines) == DATA.splitlines(keepends=True)

        def write_lines() -> None:
            for _ in range(50):
                file.write(b"123456789\n")

        file.seek(0)
        in_threads(write_lines)
        assert file.tell() == 4 * 50 * 10
        file.seek(0)
        assert file.read() == b"123456789\n" * 200 + DATA[2000:]


@pytest.mark.parametrize("begin", ["autocommit off", "begin"])
def test_a_query_that_another_thread_runs_does_not_make_a_file_stale(connect: Connect, begin: str) -> None:
    other, connection = connect(autocommit=True), connect(autocommit=begin == "begin")
    run(other, "select pg_advisory_lock(1)")
    if begin == "begin":
        execute(connection, "begin")
    with LargeObjectIO(get_driver(connection), 0, "wb+") as file:
        file.write(b"data")
        file.seek(0)
        assert file.read(1) == b"d"
        thread = threading.Thread(target=run, args=(connection, "select pg_advisory_xact_lock(1)"))
        thread.start()
        while not run(other, "select 1 from pg_locks where locktype = 'advisory' and not granted"):
            pass
        try:
            assert file.tell() == 1
            assert file.read(1) == b"a"
        finally:
            run(other, "select pg_advisory_unlock(1)")
            thread.join()
        assert file.read() == b"ta"


def in_threads(target: Callable[[], None]) -> None:
    """Run it in four threads at once."""
    threads = [threading.Thread(target=target) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
