"""The runner of the suites, as a program: how it ends when it is interrupted."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[1]

# It holds the pipe open as long as it is there, or its child.
SUITE = """
import signal, subprocess, sys
path, name, ignored = sys.argv[1:]
if ignored:
    signal.signal(int(ignored), signal.SIG_IGN)
with open(path, "w") as pipe:
    # As a server that is not to end by a Ctrl-C.
    child = subprocess.Popen(["sleep", "600"], pass_fds=[pipe.fileno()], start_new_session=name == "b")
    print(name, file=pipe, flush=True)
    child.wait()
"""
PROGRAM = """
import sys
from tests import processes, run_all
suite, path, ignored = sys.argv.pop(), sys.argv.pop(), sys.argv.pop()
if ignored:
    (asked, _), killed = processes.GRACE
    processes.GRACE = ((asked, 1), killed)
run_all.checks = list
run_all.suites = lambda: [
    run_all.Stage(name, [sys.executable, "-c", suite, path, name, ignored], pytest=False) for name in "abcd"
]
sys.exit(run_all.main())
"""


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A named pipe, and the descriptor that reads from it."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    # It does not wait for a writer.
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, reader
    os.close(reader)


def read_lines(reader: int, count: int) -> set[str]:
    """Wait for that many lines."""
    data = b""
    while data.count(b"\n") < count:
        select.select([reader], [], [])
        data += os.read(reader, 1000)
    return set(data.decode().splitlines())


@pytest.mark.parametrize(
    ("number", "status", "from_a_terminal", "ignored"),
    [
        pytest.param(signal.SIGINT, 130, True, "", id="Ctrl-C"),
        pytest.param(signal.SIGINT, 130, False, "", id="SIGINT"),
        pytest.param(signal.SIGTERM, 143, False, "", id="SIGTERM"),
        pytest.param(signal.SIGHUP, 129, True, "", id="a terminal is closed"),
        pytest.param(signal.SIGINT, 130, False, "15", id="stubborn"),
    ],
)
def test_an_interruption_ends_all_that_runs_and_starts_nothing(
    number: int, status: int, from_a_terminal: bool, ignored: str, pipe: tuple[Path, int]
) -> None:
    path, reader = pipe
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, ignored, path, SUITE], cwd=ROOT, process_group=0, stdout=subprocess.PIPE
    )
    assert read_lines(reader, 2) == {"a", "b"}
    # Which sends it to all of the group that is in the foreground.
    (os.killpg if from_a_terminal else os.kill)(program.pid, number)
    written, _ = program.communicate()
    assert program.returncode == status
    assert written.decode().splitlines()[-1] == "interrupted"
    # The end of the pipe, not a wait: nobody has it open any more, nor had since.
    assert os.read(reader, 1000) == b""


def test_what_nobody_interrupts_is_counted() -> None:
    program = (
        "import sys; from tests import run_all; run_all.checks = list; run_all.suites = lambda:"
        " [run_all.Stage(str(n), [sys.executable, '-c', f'exit({n})'], pytest=False) for n in range(3)];"
        " sys.exit(run_all.main())"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "1 passed, 2 failed, 0 skipped"
