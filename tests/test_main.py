"""``python -m pg_lo_storage``, as a program."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import django
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pg_lo_storage
from example.cluster import Server
from pg_lo_storage.__main__ import plain_database
from tests.drivers.support import driver_error, execute
from tests.fixtures.connections import INSTALLED, RawConnection

PASSWORD = "s3cret-of-the-role"
SOURCE = Path(pg_lo_storage.__file__).parents[1]
SETTINGS = "import json, os\nSECRET_KEY = 'tests only'\nDATABASES = json.loads(os.environ['DATABASES'])\n"
Report = Callable[..., str]


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """Run the program where those modules can be imported, and return what it prints; it must succeed silently."""

    def report(*arguments: str, modules: dict[str, str] | None = None, **variables: str) -> str:
        for name, source in (modules or {}).items():
            (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
        inherited = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
        done = subprocess.run(
            [sys.executable, "-m", "pg_lo_storage", *arguments],
            env=inherited | {"PYTHONPATH": str(SOURCE)} | variables,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return report


def value(printed: str, label: str) -> str:
    """Return what stands beside a label that is there once."""
    (found,) = [line for line in printed.splitlines() if line.startswith(f"{label}  ")]
    return found.removeprefix(label).strip()


def databases(server: Server, **changes: object) -> str:
    """Return two aliases of one database, the default one with those changes."""
    database = server.django_database()
    return json.dumps({"default": database | changes, "replica": database})


def has_lz4(connection: RawConnection) -> bool:
    try:
        execute(connection, "set default_toast_compression = 'lz4'")
    except driver_error(connection):
        return False
    return True


def test_the_versions_of_all_that_is_involved(report: Report) -> None:
    printed = report()
    for label, version in {
        "pg_lo_storage": "1.",
        "Python": sys.version.split()[0],
        "Django": django.get_version(),
        "psycopg": "3." if "psycopg" in INSTALLED else "not installed",
        "psycopg2": "2." if "psycopg2" in INSTALLED else "not installed",
    }.items():
        assert value(printed, label).startswith(version), label
    if "psycopg" in INSTALLED:
        assert "(binary), libpq 1" in value(printed, "psycopg")
    assert value(printed, "Django settings").startswith("none")


@pytest.mark.once
def test_a_driver_that_does_not_load_is_named_with_the_reason(report: Report) -> None:
    printed = report(modules={"psycopg": "raise ImportError('no pq wrapper available')"})
    assert value(printed, "psycopg") == "cannot be imported: no pq wrapper available"
    assert "'pg_lo_storage.drivers.psycopg3.Psycopg3Driver' cannot be imported: no pq wrapper available" in printed


@pytest.mark.once
def test_drivers_are_listed_and_why_they_are_no_use(report: Report, tmp_path: Path) -> None:
    distribution = tmp_path / "lo_nowhere-1.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: lo-nowhere\nVersion: 1\n")
    (distribution / "entry_points.txt").write_text(
        "[pg_lo_storage.drivers]\nnowhere.Connection = lo_nowhere:Driver\njson.Connection = lo_nowhere:Driver\n"
    )
    printed = report()
    assert "nowhere.Connection: nowhere is not installed" in printed
    assert "json.Connection: the driver 'lo_nowhere:Driver' cannot be imported: No module named 'lo_nowhere'" in printed
    for driver, line in {
        "psycopg": "psycopg.Connection: pg_lo_storage.drivers.psycopg3.Psycopg3Driver",
        "psycopg2": "psycopg2.extensions.connection: pg_lo_storage.drivers.psycopg2.Psycopg2Driver",
    }.items():
        assert (line in printed) is (driver in INSTALLED)


@pytest.mark.once
def test_a_driver_that_the_project_registers_is_listed(report: Report, server: Server) -> None:
    registering = (
        "from pg_lo_storage.drivers import register_driver\nregister_driver('json.Connection', 'json.JSONDecoder')\n"
    )
    printed = report("--settings=project", modules={"project": SETTINGS + registering}, DATABASES=databases(server))
    assert value(printed, "by register_driver") == "json.Connection: json.JSONDecoder"


@pytest.mark.parametrize("given", ["option", pytest.param("variable", marks=pytest.mark.once)])
def test_the_aliases_of_the_settings_and_their_server(
    report: Report, server: Server, connection: RawConnection, given: str
) -> None:
    modules = {
        "project": f"{SETTINGS}PG_LO_STORAGE_DB_FOR_READ = 'replica'\n"
        "PG_LO_STORAGE_DRIVER = {'replica': 'other_driver.Driver'}\n",
        "other_driver": "from pg_lo_storage.drivers import DriverWrapper\nclass Driver(DriverWrapper): ...\n",
    }
    arguments = ["--settings", "project"] if given == "option" else []
    variables = {"DJANGO_SETTINGS_MODULE": "project"} if given == "variable" else {}
    printed = report(*arguments, modules=modules, DATABASES=databases(server), **variables)
    project, *sections = printed.split("database '")
    assert value(project, "Django settings") == "project"
    assert value(project, "aliases") == "replica for reading, default for writing"
    assert [section.partition("'")[0] for section in sections] == ["replica", "default"]
    for section in sections:
        assert section.splitlines()[0].endswith(" postgresql")
        assert value(section, "server").startswith("PostgreSQL 1")
        assert value(section, "has lz4") == ("yes" if has_lz4(connection) else "no")
        assert value(section, "role is superuser") == "no"
        assert value(section, "role may create large objects") == "yes"
        assert value(section, "role may read pg_largeobject_metadata") == "yes"
    assert value(sections[0], "driver") == "other_driver.Driver"
    assert value(sections[1], "driver").startswith("pg_lo_storage.drivers.Psycopg")


def test_a_plain_connection(report: Report, server: Server) -> None:
    printed = report("--dsn", server.dsn())
    assert value(printed, "database by --dsn") == f"over {INSTALLED[0]}"
    assert value(printed, "server").startswith("PostgreSQL 1")
    assert value(printed, "driver").startswith("pg_lo_storage.drivers.Psycopg")


def test_a_superuser_and_a_read_only_session_show(report: Report, server: Server) -> None:
    if "postgres" not in server.roles:
        pytest.skip("PG_LO_TEST_DSN gives no superuser")
    printed = report("--dsn", server.dsn(user="postgres"), PGOPTIONS="-c default_transaction_read_only=on")
    assert value(printed, "role is superuser") == "yes"
    assert value(printed, "server").endswith(", read-only")


def test_an_unreachable_server_is_a_line_of_the_report(report: Report, server: Server, tmp_path: Path) -> None:
    nowhere = {"HOST": str(tmp_path / "nowhere"), "PASSWORD": PASSWORD}
    printed = report("--settings=project", modules={"project": SETTINGS}, DATABASES=databases(server, **nowhere))
    *_, last = printed.splitlines()
    assert last.strip() == "OperationalError"
    printed = report("--dsn", f"host={tmp_path / 'nowhere'} dbname=app")
    assert printed.splitlines()[-1].strip() == "OperationalError"


def test_what_the_server_refuses_has_its_sqlstate(report: Report, server: Server) -> None:
    options = {"options": "-c statement_timeout=1ms"}
    waiting = (
        "from django.db.backends.signals import connection_created\n"
        "def wait(connection, **_): connection.cursor().execute('select pg_sleep(1)')\n"
        "connection_created.connect(wait)\n"
    )
    modules = {"project": SETTINGS + waiting}
    printed = report("--settings=project", modules=modules, DATABASES=databases(server, OPTIONS=options))
    assert "OperationalError (SQLSTATE 57014)" in printed


def test_half_a_connection_string_is_not_printed(tmp_path: Path) -> None:
    for rest in (["two", PASSWORD], [f"--password={PASSWORD}"], [f"--={PASSWORD}"], [f"--settin={PASSWORD}", "x"]):
        command = [sys.executable, "-m", "pg_lo_storage", "--dsn", "host=/nowhere password=one", *rest]
        variables = os.environ | {"PYTHONPATH": str(SOURCE)}
        done = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert PASSWORD not in done.stderr + done.stdout


# Of no host: that would take a name server's time.
TEXTS = st.text(st.characters(exclude_characters="/@,", exclude_categories=()))


@given(
    st.one_of(
        st.builds("host=/nowhere password={} user=who".format, TEXTS),
        st.builds("host=/nowhere password='{}'".format, TEXTS),
        st.builds("host=/nowhere {}".format, st.text(alphabet="pasword=' \\\x00é\udcff1")),
        st.builds("postgresql://who:{}@%2Fnowhere/app".format, TEXTS),
        st.builds("postgresql:///app?host=%2Fnowhere&password={}".format, TEXTS.filter(lambda text: "&" not in text)),
    )
)
def test_of_what_fails_only_the_kind_is_told(dsn: str) -> None:
    lines = list(plain_database(dsn))
    assert lines[0] == ("database by --dsn", f"over {INSTALLED[0]}")
    [(label, told)] = lines[1:]
    assert label == ""
    assert re.fullmatch(r"(OperationalError|ProgrammingError|UnicodeEncodeError|ValueError|TypeError)", str(told))


@pytest.mark.once
def test_settings_that_do_not_load_are_a_line_of_the_report(report: Report, server: Server) -> None:
    assert "ModuleNotFoundError: no module 'absent'" in report("--settings=absent")
    modules = {"project": f"{SETTINGS}PG_LO_STORAGE_DB_FOR_WRITE = 'absent'\n"}
    printed = report("--settings=project", modules=modules, DATABASES=databases(server))
    assert value(printed, "aliases") == "default for reading, absent for writing"
    assert "ConnectionDoesNotExist" in printed


@pytest.mark.once
def test_a_database_of_another_kind_is_named(report: Report) -> None:
    sqlite = json.dumps({"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})
    printed = report("--settings=project", modules={"project": SETTINGS}, DATABASES=sqlite)
    assert value(printed, "database 'default'") == "sqlite"


@pytest.mark.parametrize(
    "dsn",
    [
        f"host=/nowhere user=app password={PASSWORD}",
        f"host=/nowhere user=app password='{PASSWORD}",
        f"host=/nowhere user=app password=two {PASSWORD}",
        f"postgresql://app:{PASSWORD}@nowhere.invalid/app",
        f"postgresql://app:p@{PASSWORD}@nowhere.invalid/app",
        f"postgresql://app:{PASSWORD}@nowhere.invalid:port/app",
        f"postgresql://app:p:{PASSWORD}@nowhere.invalid/app",
        f"postgresql://app:p/{PASSWORD}@nowhere.invalid/app",
        f"postgresql://nowhere.invalid/app?password={PASSWORD}",
        f"{PASSWORD}",
    ],
)
def test_no_password_of_a_connection_string_is_told(dsn: str) -> None:
    lines = list(plain_database(dsn))
    assert lines[0][0] == "database by --dsn"
    assert PASSWORD not in str(lines)


def test_no_password_of_a_connection_string_is_printed(report: Report) -> None:
    printed = report("--dsn", f"postgresql://app:p@{PASSWORD}@%2Fnowhere/app")
    assert value(printed, "database by --dsn")
    assert PASSWORD not in printed


@pytest.mark.parametrize(
    "changes",
    [
        {"PASSWORD": PASSWORD, "HOST": "nowhere.invalid"},
        {"OPTIONS": {"password": PASSWORD, "passfile": f"/{PASSWORD}"}, "HOST": "nowhere.invalid"},
        pytest.param({"ENGINE": f"postgresql://app:{PASSWORD}@nowhere.invalid/app"}, marks=pytest.mark.once),
        {"OPTIONS": {"options": PASSWORD, PASSWORD: PASSWORD}, "HOST": "nowhere.invalid"},
        {"OPTIONS": {"service": PASSWORD}, "NAME": ""},
        {"PORT": PASSWORD, "HOST": "nowhere.invalid"},
        # What cannot even be taken for parameters is quoted by libpq.
        {"PASSWORD": PASSWORD, "HOST": f"{PASSWORD}@nowhere.invalid"},
    ],
)
def test_no_password_of_the_settings_is_printed(report: Report, server: Server, changes: dict[str, object]) -> None:
    printed = report("--settings=project", modules={"project": SETTINGS}, DATABASES=databases(server, **changes))
    assert value(printed, "aliases")
    assert PASSWORD not in printed
