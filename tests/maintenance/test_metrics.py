"""What monitoring sees: figures of the files, and what is read and written, by Prometheus's and OpenTelemetry's own."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.db import connections, transaction
from django.test import RequestFactory, override_settings
from django.test.utils import CaptureQueriesContext
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from example.cluster import Server
from pg_lo_storage.contrib.metrics import export_to_opentelemetry, measure_for_prometheus, prometheus_collector
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.databases.descriptor import DatabaseLargeObject
from pg_lo_storage.databases.measuring import observe
from pg_lo_storage.drivers import AccessMode
from pg_lo_storage.storage import DbFileIO, db_file_storage
from pg_lo_storage.views import db_serve
from tests.catalogue.support import invoice, run, saved
from tests.fixtures.connections import INSTALLED, open_connection
from tests.storage.support import LARGE, content, loid_of, stored

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

Samples = dict[tuple[str, str, str], float]
ROOT = Path(__file__).parents[2]


def shown(registry: CollectorRegistry) -> Samples:
    """Return what a scrape shows: each sample by its name, database and operation."""
    text = generate_latest(registry).decode()
    return {
        (sample.name.removeprefix("pg_lo_storage_"), sample.labels["database"], sample.labels.get("operation", "")): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith(("_bucket", "_created"))
    }


def registered(**options: Any) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(prometheus_collector(**options))
    return registry


@pytest.fixture
def measured() -> Iterator[CollectorRegistry]:
    registry = CollectorRegistry()
    stop = measure_for_prometheus(registry)
    yield registry
    stop()


# The figures.


def test_prometheus_sees_the_figures(catalogue: bool) -> None:
    invoice(saved("a.pdf", b"x" * 10))
    saved("b.pdf", b"y" * 20)
    found = shown(registered(databases=["default", "other"]))
    names = (
        "files",
        "size_bytes",
        "objects",
        "unmeasured_files",
        "orphans",
        "undigested_files",
        "statistics_errors_total",
    )
    told = [found.get((name, "default", "")) for name in names]
    assert told == [2, 30, 2, 0, *((1, 0) if catalogue else (None, None)), 0]
    assert found["files", "other", ""] == 0
    [(room,)] = run("select pg_total_relation_size('pg_largeobject')")
    assert found["disk_bytes", "default", ""] == room
    assert ("oldest_undigested_timestamp_seconds", "default", "") not in found


def test_the_time_of_the_oldest_file_that_cannot_be_verified_is_seen() -> None:
    name = saved()
    with transaction.atomic(), db_file_storage.open(name, "rb+") as file:
        file.write(b"new")
    [(moment,)] = run("select extract(epoch from modified_at)::float8 from pg_lo_storage_file")
    found = shown(registered(databases=["default"]))
    assert found["oldest_undigested_timestamp_seconds", "default", ""] == pytest.approx(moment, abs=0.001)
    assert found["undigested_files", "default", ""] == 1


def test_by_default_each_database_with_files_is_asked() -> None:
    assert {database for _, database, _ in shown(registered())} == {"default"}
    with override_settings(PG_LO_STORAGE_DB_FOR_WRITE="other"):
        assert {database for _, database, _ in shown(registered())} == {"other"}


def test_nothing_is_asked_before_the_first_scrape_nor_until_the_figures_are_old() -> None:
    with CaptureQueriesContext(connections["default"]) as queries:
        registry = registered(max_age=3600)
    assert len(queries) == 0
    assert shown(registry)["files", "default", ""] == 0
    saved()
    with CaptureQueriesContext(connections["default"]) as queries:
        assert shown(registry)["files", "default", ""] == 0
    assert len(queries) == 0


def test_figures_that_are_old_are_asked_for_again() -> None:
    registry = registered(max_age=0, orphans_max_age=0)
    assert shown(registry)["orphans", "default", ""] == 0
    saved()
    found = shown(registry)
    assert (found["files", "default", ""], found["orphans", "default", ""]) == (1, 1)


def test_files_that_no_row_names_are_searched_for_seldom_or_never() -> None:
    registry = registered(max_age=0, orphans_max_age=3600)
    shown(registry)
    saved()
    found = shown(registry)
    assert (found["files", "default", ""], found["orphans", "default", ""]) == (1, 0)
    assert ("orphans", "default", "") not in shown(registered(orphans_max_age=None))


def test_a_database_that_does_not_answer_is_left_out_and_counted() -> None:
    saved()
    registry = registered(databases=["default", "other"], max_age=0, orphans_max_age=None)
    run("revoke select on pg_lo_storage_file from app", using="other")
    try:
        found = shown(registry)
        assert ("files", "other", "") not in found
        # Each of its gauges has asked.
        assert found["statistics_errors_total", "other", ""] > 0
        assert (found["files", "default", ""], found["statistics_errors_total", "default", ""]) == (1, 0)
    finally:
        run("grant select on pg_lo_storage_file to app", using="other")
    assert shown(registry)["files", "other", ""] == 0


def test_a_scrape_that_fails_leaves_the_transaction_of_who_asks_fit_for_use() -> None:
    registry = registered(databases=["default", "missing"])
    run("revoke select on pg_lo_storage_file from app")
    try:
        with transaction.atomic():
            found = shown(registry)
            assert run("select 1") == [(1,)]
    finally:
        run("grant select on pg_lo_storage_file to app")
    # The figures and the orphans; an alias that is not configured is an error as well.
    assert found == {("statistics_errors_total", alias, ""): 2 for alias in ("default", "missing")}


def test_a_failure_is_not_repeated_by_each_scrape() -> None:
    registry = registered(databases=["missing"], max_age=3600, orphans_max_age=None)
    for _ in range(2):
        assert shown(registry) == {("statistics_errors_total", "missing", ""): 1}


def test_a_thread_that_scrapes_is_left_without_a_connection() -> None:
    registry, left = registered(databases=["default", "other"]), list[object]()

    def scrape() -> None:
        assert shown(registry)["files", "default", ""] == 0
        left.extend(wrapper.connection for wrapper in connections.all(initialized_only=True))

    thread = threading.Thread(target=scrape)
    thread.start()
    thread.join()
    assert set(left) == {None}
    run("select 1")
    shown(registered(databases=["default"]))
    assert connections["default"].connection is not None


def test_one_scrape_asks_and_others_get_what_was_known(server: Server) -> None:
    registry = registered(max_age=0, orphans_max_age=None)
    assert shown(registry)["files", "default", ""] == 0
    saved()
    first = list[Samples]()
    with closing(open_connection(INSTALLED[0], server.dsn(), autocommit=False)) as other:
        other.cursor().execute("lock table pg_lo_storage_file in access exclusive mode")
        asking = threading.Thread(target=lambda: first.append(shown(registry)))
        asking.start()
        waits = "select count(*) from pg_locks where not granted and relation = 'pg_lo_storage_file'::regclass"
        while not run(waits)[0][0]:
            pass
        assert shown(registry)["files", "default", ""] == 0
        other.rollback()
    asking.join()
    assert first[0]["files", "default", ""] == 1


# What is read and written.


@pytest.mark.parametrize("size", [0, 10, LARGE, 2_500_000])
def test_each_byte_is_counted_once(catalogue: bool, size: int, measured: CollectorRegistry) -> None:
    data = content(size)
    name = saved("a.bin", data)
    found = shown(measured)
    assert found["transferred_bytes_total", "default", "write"] == size
    assert found["operation_seconds_count", "default", "write"] >= 1
    assert ("operation_seconds_count", "default", "read") not in found
    assert stored(name) == data
    with transaction.atomic():
        assert stored(name) == data
        with db_file_storage.open(name) as file:
            assert b"".join(file.chunks()) == data
    found = shown(measured)
    # What is read ahead is read.
    assert found["transferred_bytes_total", "default", "read"] == 3 * size
    assert found["transferred_bytes_total", "default", "write"] == size
    assert catalogue is not None


@pytest.mark.usefixtures("catalogue")
@pytest.mark.parametrize("size", [10, LARGE, 2_500_000])
def test_each_byte_of_a_download_is_counted_once(size: int, rf: RequestFactory, measured: CollectorRegistry) -> None:
    name = saved("a.bin", content(size))
    assert b"".join(db_serve(rf.get("/"), name)) == content(size)
    assert shown(measured)["transferred_bytes_total", "default", "read"] == size


@pytest.mark.usefixtures("catalogue")
def test_a_driver_without_sql_is_measured_the_same(measured: CollectorRegistry) -> None:
    with override_settings(PG_LO_STORAGE_DRIVER="pg_lo_storage.drivers.DriverWrapper"):
        for size in (10, LARGE):
            assert stored(saved("a.bin", content(size))) == content(size)
    found = shown(measured)
    for operation in ("read", "write"):
        assert found["transferred_bytes_total", "default", operation] == 10 + LARGE


def test_a_write_in_place_and_one_of_blocks_are_counted(measured: CollectorRegistry) -> None:
    with transaction.atomic(), DbFileIO(mode="wb") as file:
        file.write(b"x" * 100)
        file.seek(50)
        file.write(b"y" * 10)
    assert shown(measured)["transferred_bytes_total", "default", "write"] == 110


def test_what_carries_no_content_is_not_counted(measured: CollectorRegistry) -> None:
    name = saved()
    before = shown(measured)
    assert db_file_storage.exists(name)
    assert db_file_storage.size(name) == 7
    db_file_storage.delete(name)
    assert shown(measured) == before


def test_the_time_is_without_the_wait_for_the_content(
    measured: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def blocks() -> Iterator[bytes]:
        for _ in range(3):
            now[0] += 60
            yield b"x" * 100

    with transaction.atomic():
        driver = DatabaseDriver("default").of_transaction()
        assert driver.open(driver.create(), AccessMode.WRITE).write_all(blocks()) == 300
    assert shown(measured)["operation_seconds_sum", "default", "write"] == 0


def test_nothing_is_replaced_until_somebody_measures_nor_afterwards() -> None:
    def methods() -> list[object]:
        return [*vars(DatabaseDriver).values(), *vars(DatabaseLargeObject).values()]

    before = methods()
    stops = [measure_for_prometheus(CollectorRegistry()) for _ in range(2)]
    assert methods() != before
    stops.pop()()
    assert methods() != before
    stops.pop()()
    assert methods() == before


def test_two_who_measure_see_the_same_and_none_sees_what_comes_after_its_end(measured: CollectorRegistry) -> None:
    other = CollectorRegistry()
    stop = measure_for_prometheus(other)
    saved()
    assert shown(other) != {}
    assert {key for key, value in shown(other).items() if value == 7} == {
        key for key, value in shown(measured).items() if value == 7
    }
    stop()
    saved()
    assert shown(other) == {}
    assert shown(measured)["transferred_bytes_total", "default", "write"] == 14


def test_a_failure_is_not_counted(measured: CollectorRegistry) -> None:
    name = saved()
    before = shown(measured)
    db_file_storage.delete(name)
    with pytest.raises(FileNotFoundError):
        stored(name)
    with pytest.raises(FileNotFoundError):
        DatabaseDriver("default").get(loid_of(name), 0, 10)
    assert shown(measured) == before


def test_what_is_lost_of_the_measurements_is_logged_and_the_file_is_saved(caplog: pytest.LogCaptureFixture) -> None:
    def full(*_arguments: object) -> None:
        raise OSError("no space left on device")

    stop = observe(full)
    try:
        assert stored(saved()) == b"content"
    finally:
        stop()
    assert {record.message for record in caplog.records} == {"a measurement of files is lost"}


def test_who_observes_twice_is_told_twice_and_ends_each_alone() -> None:
    told: list[int] = []

    def take(_alias: str, _operation: str, size: int, _seconds: float, /) -> None:
        told.append(size)

    stops = [observe(take), observe(take)]
    saved()
    assert told == [7, 7]
    for stop in stops:
        stop()
        saved()
        stop()
    assert told == [7, 7, 7]


def test_the_end_comes_once_and_a_name_that_is_taken_leaves_nothing_behind() -> None:
    registry = CollectorRegistry()
    taken = Counter("pg_lo_storage_transferred_bytes", "somebody's", registry=registry)
    with pytest.raises(ValueError, match="transferred"):
        measure_for_prometheus(registry)
    registry.unregister(taken)
    stop = measure_for_prometheus(registry)
    stop()
    stop()
    measure_for_prometheus(registry)()


# OpenTelemetry.


class Exported:
    """What OpenTelemetry's SDK has collected."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self.provider = MeterProvider([self._reader], shutdown_on_exit=False)

    def points(self) -> dict[str, dict[tuple[object, ...], NumberDataPoint | HistogramDataPoint]]:
        """Return the data points by the metric, and by the values of their attributes."""
        data = self._reader.get_metrics_data()
        return {
            metric.name.removeprefix("pg_lo_storage."): {
                tuple(dict(point.attributes or {}).values()): point
                for point in metric.data.data_points
                if isinstance(point, NumberDataPoint | HistogramDataPoint)
            }
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


def value_of(point: NumberDataPoint | HistogramDataPoint) -> float:
    return point.value if isinstance(point, NumberDataPoint) else point.count


def test_opentelemetry_sees_the_same(catalogue: bool) -> None:
    exported = Exported()
    stop = export_to_opentelemetry(exported.provider, ["default", "missing"], max_age=3600)
    try:
        name = saved("a.pdf", content(1000))
        assert stored(name) == content(1000)
        points = exported.points()
    finally:
        stop()
    told = {name: value_of(points[name][("default",)]) for name in ("files", "size", "objects", "statistics_errors")}
    assert told == {"files": 1, "size": 1000, "objects": 1, "statistics_errors": 0}
    assert ("missing",) not in points["files"]
    assert value_of(points["statistics_errors"][("missing",)]) == 2
    if catalogue:
        assert value_of(points["orphans"][("default",)]) == 1
    for operation in ("read", "write"):
        assert value_of(points["transferred"]["default", operation]) == 1000
        assert value_of(points["operation.duration"]["default", operation]) == 1
    exported.provider.shutdown()


def test_after_its_end_opentelemetry_sees_nothing() -> None:
    exported = Exported()
    export_to_opentelemetry(exported.provider, ["default"])()
    saved()
    assert [points for points in exported.points().values() if points] == []
    exported.provider.shutdown()


# Processes.

FORKS = """
import os, sys
import django
django.setup()
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from example.cluster import Server
from pg_lo_storage.contrib.metrics import measure_for_prometheus, prometheus_collector
from pg_lo_storage.databases import DatabaseDriver

measure_for_prometheus()
for _ in range(2):
    if not (child := os.fork()):
        driver = DatabaseDriver("default")
        oid = driver.from_bytes(b"x" * 100)
        driver.unlink(oid)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
registry = CollectorRegistry()
MultiProcessCollector(registry)
registry.register(prometheus_collector())
sys.stdout.write(generate_latest(registry).decode())
"""


@pytest.mark.once
def test_prometheus_adds_up_what_several_processes_have_written(tmp_path: Path) -> None:
    variables = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", FORKS], env=variables, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert 'pg_lo_storage_transferred_bytes_total{database="default",operation="write"} 200.0' in lines
    assert 'pg_lo_storage_operation_seconds_count{database="default",operation="write"} 2.0' in lines
    assert any(line.startswith('pg_lo_storage_objects{database="default"}') for line in lines)
