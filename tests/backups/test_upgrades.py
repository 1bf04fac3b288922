"""From the server's version to that of the wheel's: by ``pg_upgrade``, and by dump and restore."""

import subprocess
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from example.cluster import Cluster, find_bindir
from example.supervisor import Postgres
from tests.backups.conftest import connect
from tests.backups.papers import look
from tests.fixtures.connections import run
from tests.fixtures.server import known_as

pytestmark = [pytest.mark.server_tools, pytest.mark.once]


@pytest.fixture(scope="module")
def newer(cluster: Cluster) -> Path:
    """The programs of a newer version than the server's."""
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("PG_LO_TEST_BINDIR", raising=False)
        newer = find_bindir()
    said = subprocess.run([newer / "postgres", "--version"], check=True, capture_output=True, text=True).stdout
    with closing(connect(cluster)) as connection:
        [(version,)] = run(connection, "select current_setting('server_version_num')::int / 10000")
    if version >= int(said.split()[2].partition(".")[0]):
        pytest.skip(f"there is no version after {version} here")
    return newer


def test_pg_upgrade_takes_all_files_along(cluster: Cluster, newer: Path) -> None:
    assert cluster.bindir
    expected = look("source")
    with TemporaryDirectory(prefix="pg-lo-old-") as old_folder, TemporaryDirectory(prefix="pg-lo-new-") as new_folder:
        old, new = Postgres(Path(old_folder), cluster.bindir), Postgres(Path(new_folder), newer)
        old.back_up(cluster.dsn("postgres", "postgres"))
        # It recovers, and ends as a server that was shut down.
        old.run([old.bindir / "postgres", "--single", "-F", "-D", old.data, "postgres"])
        new.initialise("--no-data-checksums")
        upgrade: list[str | Path] = [
            *(new.bindir / "pg_upgrade", "--link", "-U", "postgres", "--no-sync"),
            *("-b", old.bindir, "-d", old.data, "-B", new.bindir, "-D", new.data),
        ]
        new.run(upgrade)
        with Cluster(newer, data=new.data) as upgraded, known_as("upgraded", upgraded):
            assert look("upgraded") == expected
            with closing(connect(upgraded, "app")) as connection:
                owners = "select distinct pg_get_userbyid(lomowner)::text from pg_largeobject_metadata"
                assert run(connection, owners) == [("app",)]


def test_the_newer_programs_dump_and_restore(cluster: Cluster, newer: Path, tmp_path: Path) -> None:
    dump: list[str | Path] = [newer / "pg_dump", "-Fc", "-f", tmp_path / "dump", "-d", cluster.dsn()]
    subprocess.run(dump, check=True)
    with Cluster(newer) as target, known_as("target", target):
        restore: list[str | Path] = [newer / "pg_restore", "--exit-on-error", "-d", target.dsn(), tmp_path / "dump"]
        subprocess.run(restore, check=True)
        assert look("target") == look("source")
