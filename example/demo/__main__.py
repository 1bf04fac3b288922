"""Keep files in PostgreSQL with their rows, roll back, serve and delete them, on psycopg 3, then on psycopg2.

Exit status: 0 all is well, 1 something was not as it should be, 2 the command line, 130 interrupted.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, cast

from example.cluster import Server, open_server
from example.demo.files import default_files, find_problems
from example.demo.one_pass import DRIVERS, find_driver_problem, run_pass
from example.webserver import ROOT

if TYPE_CHECKING:
    import io

UV = os.environ.get("UV", "uv")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal asks to stop; a KeyboardInterrupt, as a driver must give up its query."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.status = 128 + number


# What is raised inside a finaliser Python prints and drops; the exit status is to tell of it all the same.
received: list[int] = []


def interrupt(number: int, _frame: FrameType | None) -> None:
    """Stop once: stopping the servers is not to be interrupted again."""
    received.append(128 + number)
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise Interrupted(number)


def run_in_own_environment(server: Server, driver: str, paths: list[Path]) -> int:
    """Run the pass in a fresh environment with no other driver, and return its exit status."""
    uv = [UV, "run", "--quiet", "--frozen", "--isolated", "--python", sys.executable]
    uv += ["--no-default-groups", "--group", "demo", "--extra", "django", "--extra", driver]
    process = subprocess.Popen(
        [*uv, "python", "-m", "example.demo", "--driver", driver, "--", *paths],
        cwd=ROOT,
        env=os.environ | {"PG_LO_TEST_DSN": server.dsn()},
    )
    try:
        return process.wait()
    finally:
        process.terminate()
        process.wait()


def parse_arguments() -> argparse.Namespace:
    """Return what is to be done, or exit with status 2 and a message, before anything was started."""
    parser = argparse.ArgumentParser(
        prog="demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="default: some of the repository's files")
    parser.add_argument("--driver", choices=DRIVERS, help="only this one, which Django has here")
    options = parser.parse_args()
    if problems := find_problems(options.files):
        parser.error("; ".join(problems))
    if options.driver and (problem := find_driver_problem(options.driver)):
        parser.error(problem)
    if not options.driver and shutil.which(UV) is None:
        parser.error("uv is not there to make an environment for each driver: install it, or pass --driver")
    return options


def run(options: argparse.Namespace) -> int:
    """Run the passes on one server, and return the exit status."""
    with ExitStack() as stack:
        paths = [Path(name).absolute() for name in options.files] or stack.enter_context(default_files())
        try:
            server = stack.enter_context(open_server())
        except (LookupError, RuntimeError) as error:
            print(f"demo: {error}", file=sys.stderr)
            return 1
        if options.driver:
            return int(run_pass(server, options.driver, paths) > 0)
        failed = [driver for driver in DRIVERS if run_in_own_environment(server, driver, paths)]
    if failed:
        print(f"\ndemo: failed on {', '.join(failed)}", file=sys.stderr)
        return 1
    print("\nAll is as it should be.")
    return 0


def main() -> int:
    """Run the demo and return its exit status."""
    options = parse_arguments()
    if stdout := cast("io.TextIOWrapper | None", sys.stdout):
        stdout.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no failure
    for number in SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, interrupt)
    try:
        status = run(options)
        return received[0] if received else status
    except Interrupted as interruption:
        if not options.driver:  # else whoever started this says so
            print("\ndemo: interrupted", file=sys.stderr)
        return interruption.status
    except Exception:
        # What the signal ended first, of those that it went to, may fail the rest.
        if not received:
            raise
        return received[0]


if __name__ == "__main__":
    sys.exit(main())
