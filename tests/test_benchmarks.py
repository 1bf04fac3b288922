"""The benchmark's own parts: what it makes of measurements, and the programs that measure."""

import dataclasses
import hashlib
import os
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks import report
from benchmarks.building import CannotBuild, Workshop, random_blocks, text_blocks
from benchmarks.cluster import find_bindir
from benchmarks.contenders import CONTENDERS, find
from benchmarks.goals import GOALS, goals_table
from benchmarks.jobs import CHANGES, Job, Operation, Sample
from benchmarks.plots import Bar, Group, chart
from benchmarks.processes import Failed, Worker, together
from benchmarks.questions import FULL, QUESTIONS, QUICK
from benchmarks.ratios import Answer, digits, memory, spread_of
from benchmarks.records import COUNTING, Cell, Record, Records
from benchmarks.running import attempt, rotated
from benchmarks.tables import compared, markdown, size_name
from benchmarks.wires import Wire
from benchmarks.workers.usage import cpu_seconds
from example.cluster import Cluster, keyword_string
from pg_lo_storage.drivers import get_driver
from tests.fixtures.connections import INSTALLED, open_connection, run

pytestmark = pytest.mark.once

READ = Cell("chunks", 256_000_000)
SVG = "{http://www.w3.org/2000/svg}"


def record(contender: str, number: int, seconds: float, cell: Cell = READ, **values: object) -> Record:
    sample = Sample(seconds, cell.size * (cell.rows or 1))
    return Record(cell, contender, number, dataclasses.replace(sample, **values))  # type: ignore[arg-type]  # any of its fields


def test_a_ratio_is_of_two_measurements_of_the_same_round() -> None:
    answer = Answer(
        (
            *(record("c", number, seconds) for number, seconds in enumerate([1.0, 10.0, 100.0])),
            *(record("own-psycopg", number, seconds) for number, seconds in enumerate([2.0, 5.0, 100.0])),
        )
    )
    assert answer.speed(READ, "own-psycopg", "c") == (1.0, 0.5, 2.0)
    assert answer.speed(READ, "own-psycopg", "psql") is None


def test_the_processor_time_of_a_thread_that_has_ended_is_counted() -> None:
    def work() -> None:
        hashlib.pbkdf2_hmac("sha256", b"", b"", 100_000)
        used.append(time.thread_time())

    used = list[float]()
    before = cpu_seconds(os.getpid())
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert cpu_seconds(os.getpid()) - before >= used[0] > 0


def test_what_failed_is_in_no_ratio_and_is_told() -> None:
    answer = Answer((record("c", 0, 1), record("own-psycopg", 0, 0, error="lost")))
    assert answer.speed(READ, "own-psycopg", "c") is None
    assert answer.errors() == [("own-psycopg", READ, "lost")]


def test_speeds_of_different_sizes_are_compared_by_the_byte() -> None:
    large = Cell("chunks", 512_000_000)
    answer = Answer((record("own-psycopg", 0, 1), record("own-psycopg", 0, 4, large)))
    speed = answer.speed(large, "own-psycopg", "own-psycopg", to=READ)
    assert speed
    assert speed.median == 0.5


def test_the_untimed_run_gives_the_round_trips_only() -> None:
    answer = Answer((record("c", COUNTING, 99, round_trips=7), record("c", 0, 1, memory=2_000_000)))
    assert answer.round_trips(READ, "c") == 7
    assert list(answer.samples(READ, "c")) == [0]
    assert answer.spread(READ, "c", memory) == (2, 2, 2)


def test_numbers_are_told_with_three_digits() -> None:
    assert [digits(value) for value in (0, 0.123, 1.234, 12.34, 123.4, 1234.0)] == [
        "0",
        "0.12",
        "1.23",
        "12.3",
        "123",
        "1234",
    ]
    assert str(spread_of([3.0, 1.0, 2.0])) == "2.00 [1.00 to 3.00]"
    assert [size_name(size) for size in (7, 20_000, 256_000_000, 2 * 10**9)] == ["7 bytes", "20 KB", "256 MB", "2 GB"]


def test_a_table_has_names_on_the_left_and_numbers_on_the_right() -> None:
    assert markdown(("", "speed"), [["C", "1.00"], ["other", "0.5"]]).splitlines() == [
        "|       | speed |",
        "| ----- | ----: |",
        "| C     |  1.00 |",
        "| other |   0.5 |",
    ]


def test_measurements_are_kept_as_they_were(tmp_path: Path) -> None:
    found = [record("c", COUNTING, 1, round_trips=3), record("c", 0, 0.5, Cell("save", 10, delayed=True), memory=5)]
    records = Records(tmp_path / "new")
    records.write("read", found)
    assert records.read("read") == found
    assert records.read("save") == []


def test_each_goal_is_one_that_the_full_run_measures() -> None:
    questions = {question.key: question for question in QUESTIONS}
    for goal in GOALS:
        cells = [cell for cell in questions[goal.question].cells(FULL) if cell.operation == goal.operation]
        assert cells
        assert goal.size in {None, *(cell.size for cell in cells)}
        keys = {contender.key for contender in questions[goal.question].field(FULL, cells[0])}
        assert {"own-psycopg", "own-psycopg2"} <= keys


@pytest.mark.parametrize(("seconds", "told"), [(1.0, "1.00 [1.00 to 1.00]"), (2.0, "**not reached**")])
def test_a_goal_that_is_not_reached_is_told(seconds: float, told: str) -> None:
    answer = Answer((record("c", 0, 1), record("own-psycopg", 0, seconds)))
    line = next(line for line in goals_table({"read": answer}).splitlines() if "256 MB, x C" in line)
    driver3, driver2 = line.split("|")[3:5]
    assert told in driver3
    assert ("not reached" in driver3) == (seconds > 1)
    assert driver2.strip() == "-"


def test_a_faster_bar_goes_to_the_right_of_one_and_a_slower_to_the_left() -> None:
    bars = tuple(Bar(f"<{value}>", value, value, value, "own", "") for value in (1.0, 2.0, 0.5))
    root = ET.fromstring(chart("a & b", [Group("g", bars)]))
    one, faster, slower = ((float(rect.get("x", "")), float(rect.get("width", ""))) for rect in root.iter(f"{SVG}rect"))
    assert faster[0] == one[0] == pytest.approx(sum(slower), abs=0.2)
    assert faster[1] == pytest.approx(slower[1], abs=0.2)
    assert [text.text for text in root.iter(f"{SVG}text") if (text.text or "").startswith("<")] == [
        "<1.0>",
        "<2.0>",
        "<0.5>",
    ]


def test_an_amount_is_drawn_from_nothing() -> None:
    bars = tuple(Bar("", value, value, value, "own", "") for value in (0.0, 5.0, 10.0))
    root = ET.fromstring(chart("", [Group("", bars)], ratios=False))
    rects = [(float(rect.get("x", "")), float(rect.get("width", ""))) for rect in root.iter(f"{SVG}rect")]
    assert len({x for x, _ in rects}) == 1
    assert rects[2][1] == pytest.approx(2 * rects[1][1], abs=0.2)


def test_the_report_is_made_of_all_that_a_full_run_measures(tmp_path: Path) -> None:
    records = Records(tmp_path / "kept")
    records.write_facts({"machine": "2 cores"})
    for question in QUESTIONS:
        found = [
            record(contender.key, number, 1 + number, cell, memory=1, first_byte=0.1, round_trips=1)
            for cell in question.cells(FULL)
            for contender in question.field(FULL, cell)
            for number in (COUNTING, 0, 1)
        ]
        records.write(question.key, found)
        answer = Answer(tuple(found))
        assert all(compared(question, answer, each.cell, each.contender) for each in found)
    text = report.write(records, tmp_path).read_text()
    assert "2 cores" in text
    assert f"| {find('own-psycopg2').label}" in text
    for question in QUESTIONS:
        svg = tmp_path / "plots" / f"{question.key}.svg"
        assert f"plots/{question.key}.svg" in text
        ET.fromstring(svg.read_text())
        assert svg.stat().st_size < 60_000


def test_the_quick_run_is_of_the_same_questions_and_smaller() -> None:
    for question in QUESTIONS:
        full, quick = (sum(cell.size for cell in question.cells(scale)) for scale in (FULL, QUICK))
        assert 0 < quick <= full
        assert 0 < question.rounds_of(QUICK) <= question.rounds_of(FULL) <= 5


def test_another_contender_is_first_in_each_round() -> None:
    assert [rotated("abc", number) for number in range(4)] == [list("abc"), list("bca"), list("cab"), list("abc")]
    assert rotated("", 1) == []


def test_a_contender_that_fails_leaves_the_others_alone() -> None:
    def fail(*_: object) -> Sample:
        raise Failed("no such thing")

    assert attempt(fail, CONTENDERS[0], READ, 2) == record("c", 2, 0, error="no such thing", bytes=0)


@pytest.mark.parametrize("size", [0, 1, 1_000, 4_000_001])
def test_contents_have_their_size_and_are_the_same_each_time(size: int) -> None:
    for blocks in (random_blocks, text_blocks):
        content = b"".join(blocks(size))
        assert len(content) == size
        assert content == b"".join(blocks(size))


def test_text_is_compressible_within_a_page_and_random_bytes_are_not() -> None:
    random, text = (next(iter(blocks(2_048))) for blocks in (random_blocks, text_blocks))
    assert len(zlib.compress(text)) < 1_600
    assert len(zlib.compress(random)) > 2_000


def test_who_lacks_a_compiler_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotBuild, match="apt-get install gcc libpq-dev postgresql"):
        Workshop(tmp_path).program("lo")


def test_who_lacks_a_server_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PG_LO_TEST_BINDIR", raising=False)
    monkeypatch.setattr("benchmarks.cluster.SYSTEM_SERVERS", tmp_path)
    with pytest.raises(CannotBuild, match="apt-get install"):
        find_bindir()


def test_a_package_that_cannot_be_had_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.building.PYTHONS", (f"3.{sys.version_info.minor}",))
    environment = dataclasses.replace(CONTENDERS[0].environment, requirements=("./no-such-folder",))
    with pytest.raises(CannotBuild, match="no-such-folder"):
        Workshop(tmp_path).python(environment)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A server of its own: the contenders make tables."""
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def job(cluster: Cluster, tmp_path: Path) -> Job:
    path = tmp_path / "content"
    path.write_bytes(b"".join(random_blocks(3_000_000)))
    return Job("own", cluster.parameters(), path=str(path), small_path=str(path), folder=str(tmp_path))


@pytest.mark.parametrize("store", ["own", "bytea", "files"])
def test_a_worker_reads_what_a_worker_saved(store: str, job: Job) -> None:
    job = dataclasses.replace(job, store=store)
    content = Path(job.path).read_bytes()
    with Worker([sys.executable, "-m", "benchmarks.workers"], job) as worker:

        def do(**changes: object) -> Sample:
            worker.give(dataclasses.replace(job, **changes))  # type: ignore[arg-type]  # any of its fields
            return worker.answer()

        do(operation="migrate")
        saved = do(operation="save", keep=True)
        read = do(operation="chunks", name=saved.name, check=True)
        assert read.digest == hashlib.sha256(content).hexdigest()
        assert 0 < (read.first_byte or 0) < read.seconds
        for operation in ("chunks", "read", "export"):
            assert do(operation=operation, name=saved.name, repeats=2).bytes == len(content)
        assert Path(job.folder, "export.bin").read_bytes() == content
        assert do(operation="rows", rows=3, size=20).bytes == 60
        with pytest.raises(Failed, match="no-such-file"):
            do(operation="save", path="no-such-file")
        assert do(operation="save", repeats=2).bytes == len(content)  # the next job is none the worse


def test_a_worker_tells_what_an_operation_cost(job: Job) -> None:
    with Worker([sys.executable, "-m", "benchmarks.workers"], job) as worker:
        worker.give(dataclasses.replace(job, operation="migrate"))
        worker.answer()
        worker.give(dataclasses.replace(job, operation="save", keep=True))
        name = worker.answer().name
        worker.give(dataclasses.replace(job, operation="read", name=name))
        sample = worker.answer()
    assert sample.client_cpu
    assert sample.server_cpu
    assert 3_000_000 <= (sample.memory or 0) < 30_000_000


def test_a_worker_changes_rows_that_have_files_and_leaves_none(cluster: Cluster, job: Job) -> None:
    with Worker([sys.executable, "-m", "benchmarks.workers"], job) as worker:
        for operation in ("migrate", *CHANGES):
            changed = dataclasses.replace(job, operation=operation, size=20, repeats=3, listed=operation == "delete")
            worker.give(changed)
            assert worker.answer().bytes == (0 if operation == "migrate" else 20)
    with closing(open_connection(INSTALLED[0], cluster.dsn())) as connection:
        assert run(connection, "select data from papers_letter") == []


def test_workers_that_begin_together_are_told_by_the_file(job: Job) -> None:
    with ExitStack() as stack:
        argv = [sys.executable, "-m", "benchmarks.workers"]
        workers = [stack.enter_context(Worker(argv, job)) for _ in range(2)]
        workers[0].give(dataclasses.replace(job, operation="migrate"))
        workers[0].answer()
        for worker in workers:
            worker.give(dataclasses.replace(job, operation="save", repeats=2, wait=True))
        begin = time.perf_counter()
        sample = together(workers, 2)
        assert 0 < sample.seconds * 4 < time.perf_counter() - begin
        assert sample.bytes == 3_000_000
        for worker in workers:
            worker.give(dataclasses.replace(job, operation="save", path="no-such-file", wait=True))
        with pytest.raises(Failed, match="no-such-file"):
            together(workers, 1)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("workshop"))


@pytest.mark.server_tools
def test_the_c_program_reads_what_it_wrote(cluster: Cluster, workshop: Workshop, job: Job) -> None:
    saved = b"".join(random_blocks(3_000_000))
    with closing(open_connection(INSTALLED[0], cluster.dsn())) as connection:
        driver = get_driver(connection)
        oid = driver.from_bytes(saved)
        connection.commit()
        argv = [str(workshop.program("lo")), job.dsn]
        target = str(Path(job.folder, "export.bin"))
        with Worker([*argv, "read", str(oid), "65536", "2", "0", target], job) as worker:
            sample = worker.answer()
        assert sample.bytes == len(saved)
        assert Path(target).read_bytes() == saved
        with Worker([*argv, "write", job.path, "65536", "2", "0"], job) as worker:
            assert worker.answer().bytes == len(saved)
        with Worker([*argv, "keep", str(oid), "65536", "2", "0"], job) as worker:
            assert worker.answer().bytes == len(saved)
        for change in CHANGES:
            with Worker([*argv, change, job.path, "65536", "2", "0"], job) as worker:
                assert worker.answer().bytes == len(saved)
        # What it wrote it has unlinked.
        assert run(connection, "select oid from pg_largeobject_metadata where oid > %s", [oid]) == []


@pytest.mark.server_tools
@pytest.mark.parametrize("delay", [0, 500])
def test_the_proxy_counts_round_trips_and_passes_all_on(cluster: Cluster, workshop: Workshop, delay: int) -> None:
    with Wire(workshop.program("wire"), cluster.parameters(), delay) as wire:
        dsn = keyword_string(wire.parameters)
        with closing(open_connection(INSTALLED[0], dsn, autocommit=True)) as connection:
            before = wire.round_trips()
            for size in (1, 20_000_000):
                content = b"".join(random_blocks(size))
                [(found,)] = run(connection, "select %s::bytea", [content])
                assert bytes(found) == content
            assert wire.round_trips() - before == 2


@pytest.mark.server_tools
def test_round_trips_are_counted_from_the_beginning_to_the_end(cluster: Cluster, workshop: Workshop, job: Job) -> None:
    with Wire(workshop.program("wire"), cluster.parameters()) as wire:
        counted = dataclasses.replace(job, parameters=wire.parameters, wait=True)
        argv = [str(workshop.program("lo")), counted.dsn, "write", job.path, "1048576", "1", "1"]
        with Worker(argv, counted) as worker:
            # BEGIN, lo_creat, lo_open, three writes, lo_close, COMMIT
            assert worker.answer(wire.round_trips).round_trips == 8


@pytest.mark.server_tools
@pytest.mark.parametrize("operation", ["export", "save"])
def test_psql_copies_between_an_object_and_a_file(cluster: Cluster, job: Job, operation: Operation) -> None:
    with closing(open_connection(INSTALLED[0], cluster.dsn())) as connection:
        oid = get_driver(connection).from_bytes(b"content")
        connection.commit()
    job = dataclasses.replace(job, store="psql", operation=operation, name=f"{oid}.bin", repeats=2)
    with Worker([sys.executable, "-m", "benchmarks.workers.psql"], job) as worker:
        sample = worker.answer()
    assert sample.bytes == (7 if operation == "export" else 3_000_000)
    assert sample.server_cpu
