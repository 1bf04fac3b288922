"""Base backups and recovery to a point in time: rows and files of one moment."""

import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from example.cluster import Cluster
from example.supervisor import Postgres
from tests.backups.conftest import connect, page
from tests.backups.papers import look, writers
from tests.fixtures.connections import run
from tests.fixtures.server import known_as

pytestmark = [pytest.mark.server_tools, pytest.mark.once]


@pytest.fixture(scope="module")
def backup(cluster: Cluster, archive: Path) -> Iterator[Path]:
    """A base backup, taken while others changed the files, with the log archived from then on."""
    assert cluster.bindir
    archive.mkdir()
    archive.chmod(0o777)
    with TemporaryDirectory(prefix="pg-lo-backup-") as name:
        postgres = Postgres(Path(name), cluster.bindir)
        with writers("source") as work:
            work.wait_for(1)
            postgres.back_up(cluster.dsn("postgres", "postgres"))
            work.wait_for(1)
        yield postgres.data
    shutil.rmtree(archive)


def test_a_base_backup_is_one_moment_of_what_others_write(cluster: Cluster, backup: Path) -> None:
    with Cluster(cluster.bindir, data=backup) as copy, known_as("copy", copy):
        assert look("copy")


def test_a_recovery_ends_at_its_point(cluster: Cluster, backup: Path, archive: Path) -> None:
    expected = look("source")
    with closing(connect(cluster)) as connection:
        run(connection, "select pg_create_restore_point('before_the_release')")
        with writers("source") as work:
            work.wait_for(10)
        [(segment,)] = run(connection, "select pg_walfile_name(pg_switch_wal())")
        while run(connection, "select last_archived_wal < %s from pg_stat_archiver", [segment]) != [(False,)]:
            pass
    assert look("source") != expected
    [settings] = re.findall(r"^```\n(restore_command.*?)^```", page(), re.MULTILINE | re.DOTALL)
    with (backup / "postgresql.conf").open("a") as file:
        file.write(settings.replace("/archive", str(archive)))
    (backup / "recovery.signal").touch()
    with Cluster(cluster.bindir, data=backup) as recovered, known_as("recovered", recovered):
        with closing(connect(recovered)) as connection:
            while run(connection, "select pg_is_in_recovery()") == [(True,)]:
                pass
        assert look("recovered") == expected
