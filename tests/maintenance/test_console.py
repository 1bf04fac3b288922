"""What a subcommand prints: lines for people, lines of JSON, and how far it is, on a terminal only."""

import io
import json
import sys

import pytest
from django.core.management.base import OutputWrapper

from pg_lo_storage.management import console
from pg_lo_storage.management.console import Console

pytestmark = pytest.mark.once


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(stderr: io.StringIO, *, verbosity: int = 1, as_json: bool = False) -> str:
    """Run all that a console does; return what stands on stdout."""
    stdout = io.StringIO()
    made = Console(OutputWrapper(stdout), OutputWrapper(stderr), verbosity=verbosity, as_json=as_json)
    made.say("said")
    made.show("shown")
    made.record({"oid": 7})
    with made.progress("moving", 4) as progress:
        for _ in range(4):
            progress.advance(1)
    return stdout.getvalue()


def test_people_read_lines() -> None:
    assert printed(io.StringIO()) == "said\nshown\n"
    assert printed(io.StringIO(), verbosity=0) == "shown\n"


def test_programs_read_lines_of_json_and_nothing_else() -> None:
    assert [json.loads(line) for line in printed(Terminal(), as_json=True).splitlines()] == [{"oid": 7}]


def test_a_terminal_sees_a_bar_that_is_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tqdm.tqdm.monitor_interval", 0)  # no thread that outlives the test
    terminal = Terminal()
    printed(terminal)
    first, *_, last = terminal.getvalue().split("\r")[1:]
    assert first.startswith("moving:   0%")
    assert "0/4" in first
    assert not last


def test_without_tqdm_a_terminal_sees_lines_with_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(console, "_SECONDS", 0.0)
    terminal = Terminal()
    printed(terminal)
    lines = terminal.getvalue().splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("moving: 1 of 4 files, ")
    assert lines[0].endswith(" seconds left")
    assert lines[-1].startswith("moving: 4 of 4 files, ")


@pytest.mark.parametrize("stderr", [io.StringIO(), Terminal()], ids=["pipe", "terminal"])
def test_nobody_looking_on_sees_nothing(stderr: io.StringIO) -> None:
    printed(stderr, verbosity=0 if stderr.isatty() else 1)
    assert not stderr.getvalue()


def test_a_text_cannot_draw_on_the_terminal_or_begin_a_line() -> None:
    stdout, stderr = io.StringIO(), io.StringIO()
    made = Console(OutputWrapper(stdout), OutputWrapper(stderr))
    for tell in (made.say, made.show, made.warn):
        tell("a\x1b[2J ä █\n\tb\r")
    assert stdout.getvalue() == 2 * "a\\x1b[2J ä █\\n\tb\\r\n"
    assert stderr.getvalue() == "a\\x1b[2J ä █\\n\tb\\r\n"


@pytest.mark.parametrize("total", [None, 4])
def test_lines_come_now_and_then_and_at_the_end(total: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(console, "_SECONDS", 3_600.0)
    terminal = Terminal()
    with Console(OutputWrapper(io.StringIO()), OutputWrapper(terminal)).progress("moving", total) as progress:
        progress.advance(4)
    [line] = terminal.getvalue().splitlines()
    assert line.startswith(f"moving: 4{'' if total is None else ' of 4'} files, ")
