"""The demo as its users run it: a process of its own, on the driver that Django has here."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from example.cluster import Server, find_bindir
from example.demo.files import default_files, find_problems
from example.webserver import ROOT
from tests.fixtures.connections import INSTALLED, open_connection, run

DRIVER = INSTALLED[0]
DEMO = [sys.executable, "-m", "example.demo"]
LOSE_A_BYTE = """
import runpy, sys
from pg_lo_storage import catalogue
kept = catalogue.save
catalogue.save = lambda database, upload, data, sha256, **how: kept(database, upload, data[:-1], sha256, **how)
sys.argv[0] = "demo"
runpy.run_module("example.demo", run_name="__main__")
"""


def run_demo(*arguments: str | Path, argv: list[str] = DEMO, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*argv, *arguments],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    contents = {"letter.txt": b"Dear Sir or Madam\n", "empty.pdf": b""}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return [tmp_path / name for name in contents]


@pytest.fixture
def nothing_left(server: Server, large_objects: Callable[[], set[int]]) -> Iterator[None]:
    """The demo removes what it made on a server that goes on."""
    yield
    with closing(open_connection(DRIVER, server.dsn())) as connection:
        assert run(connection, "select nspname from pg_namespace where nspname ~ '^lo_demo_'") == []
    assert large_objects() == set()


@pytest.mark.usefixtures("nothing_left")
def test_files_are_kept_served_and_deleted(files: list[Path], server: Server) -> None:
    result = run_demo("--driver", DRIVER, *files, PG_LO_TEST_DSN=server.dsn())
    assert (result.returncode, result.stderr) == (0, "")
    rows = re.findall(r"^(\S+) +(\d+) +(\d+)  matches ", result.stdout, re.MULTILINE)
    assert [(name, size) for name, _, size in rows] == [("letter.txt", "18"), ("empty.pdf", "0")]
    assert len({oid for _, oid, _ in rows}) == 2
    assert len(re.findall(r"^\S.*  ok  ", result.stdout, re.MULTILINE)) == 7


@pytest.mark.usefixtures("nothing_left")
def test_the_only_file_may_be_empty(files: list[Path], server: Server) -> None:
    result = run_demo("--driver", DRIVER, files[1], PG_LO_TEST_DSN=server.dsn())
    assert (result.returncode, result.stderr) == (0, "")
    assert "416" in result.stdout


@pytest.mark.usefixtures("nothing_left")
def test_a_byte_that_is_lost_is_noticed(files: list[Path], server: Server) -> None:
    argv = [sys.executable, "-c", LOSE_A_BYTE]
    result = run_demo("--driver", DRIVER, files[0], argv=argv, PG_LO_TEST_DSN=server.dsn())
    assert result.returncode == 1
    assert "bytes: 17 where 18 was expected" in result.stdout
    assert "DIFFERS" in result.stdout
    assert "sha256: " in result.stdout


def test_without_a_file_named_it_takes_the_repositorys_an_empty_one_and_a_large_one() -> None:
    with default_files() as paths:
        sizes = [path.stat().st_size for path in paths]
        assert (len(paths), min(sizes), max(sizes)) == (6, 0, 64 * 1024 * 1024)
    assert [path.exists() for path in paths] == [True] * 4 + [False] * 2


def made(path: Path, kind: str) -> Path:
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path)
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "no such file"),
        ("directory", "is a directory"),
        ("pipe", "is not a regular file"),
        ("loop", "Too many levels of symbolic links"),
    ],
)
def test_what_is_no_file_is_refused_at_once(kind: str, message: str, files: list[Path], tmp_path: Path) -> None:
    path = made(tmp_path / "odd", kind)
    result = run_demo(*files, path)
    assert (result.returncode, result.stdout) == (2, "")
    assert f"'{path}': {message}" in result.stderr


def test_a_file_that_may_not_be_read_is_refused(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root may read any file
    assert find_problems([str(files[0])]) == [f"'{files[0]}': Permission denied"]


def test_a_driver_that_django_would_not_take_is_refused_at_once(files: list[Path]) -> None:
    other = "psycopg2" if DRIVER == "psycopg" else "psycopg"
    result = run_demo("--driver", other, *files)
    assert (result.returncode, result.stdout) == (2, "")
    assert "installed here" in result.stderr


@pytest.fixture
def temporary_folder() -> Iterator[Path]:
    """A folder that the server's user may enter as well, with a name short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="lo-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.mark.once
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing_behind(
    number: signal.Signals, files: list[Path], temporary_folder: Path
) -> None:
    try:
        find_bindir()
    except LookupError as error:
        pytest.skip(str(error))
    with subprocess.Popen(
        [*DEMO, "--driver", DRIVER, *files],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(temporary_folder), "PG_LO_TEST_DSN": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        line = next((line for line in process.stdout if "gunicorn on" in line), "")
        assert list(temporary_folder.iterdir())
        # Ctrl-C in a terminal reaches the whole group.
        os.killpg(process.pid, number)
        # Standard error ends with the last process that has it: PostgreSQL's supervisor.
        _, errors = process.communicate()
    assert process.returncode == 128 + number
    # Where the signal came inside a finaliser, Python says so and the demo ends by itself.
    assert errors == "" or errors.startswith("Exception ignored in")
    assert list(temporary_folder.iterdir()) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(line.rpartition(":")[2])))
