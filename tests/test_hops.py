"""What the common calls cost, counted in hops: what a reader must follow from a file to the connection, and back.

A hop is an event "call" of :func:`sys.setprofile` for code that stands in ``src/pg_lo_storage``: each Python function,
property, lambda and comprehension that is entered, and each time that a generator is resumed, a context manager at its
end for example. psycopg resumes one of ours as often as the network has something for it: that does not count, nor do
the methods that dataclasses and named tuples generate. All is called once before it is counted, for what is found once
in a process.
"""

import gc
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import FrameType
from typing import cast

import django
import pytest
from django.core.files.base import ContentFile
from django.db import transaction
from django.test import RequestFactory

from pg_lo_storage.storage import DbFile, db_file_storage
from pg_lo_storage.views import db_serve
from tests.invoices.models import Invoice
from tests.storage.support import content

pytestmark = [
    pytest.mark.once,
    pytest.mark.django_db(transaction=True),
    pytest.mark.parametrize("catalogue", [False, True], ids=["bare", "catalogue"], indirect=True),
    pytest.mark.usefixtures("catalogue"),
]

SOURCE = str(Path(__file__).parents[1] / "src" / "pg_lo_storage") + "/"
BY_ITSELF_AND_IN_A_TRANSACTION = pytest.mark.parametrize(
    "around", [nullcontext, transaction.atomic], ids=["autocommit", "atomic"]
)
# Django 6 asks a field for its value twice in one INSERT.
ASKED_TWICE = 15 if django.VERSION >= (6,) else 0
Around = Callable[[], AbstractContextManager[object]]


class Hops:
    """The calls of ours that a call makes, and the most objects of ours that it passes before it enters psycopg."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.calls: list[str] = []
        self.objects: list[str] = []
        gc.disable()  # what it finalises is closed by calls of ours
        sys.setprofile(self._take)
        try:
            call()
        finally:
            sys.setprofile(None)
            gc.enable()

    def _take(self, frame: FrameType, event: str, _argument: object) -> None:
        if event != "call":
            return
        if _is_psycopg(frame) and _is_ours(frame.f_back):
            # Of what a function closes over, such as the file, it is not the one that is called.
            called = {
                id(frame.f_locals["self"]): type(frame.f_locals["self"]).__name__
                for frame in _stack(frame)
                if "self" in frame.f_code.co_varnames[: frame.f_code.co_argcount]
            }
            self.objects = max(self.objects, [*called.values()], key=len)
        elif _is_ours(frame) and not _is_psycopg(frame.f_back):
            self.calls.append(f"{frame.f_code.co_filename.removeprefix(SOURCE)}:{frame.f_code.co_qualname}")

    def __str__(self) -> str:
        return "\n".join([*self.calls, f"{len(self.calls)} calls", " < ".join(self.objects)])


def _stack(frame: FrameType | None) -> Generator[FrameType]:
    while frame is not None:
        if _is_ours(frame):
            yield frame
        frame = frame.f_back


def _is_ours(frame: FrameType | None) -> bool:
    return frame is not None and frame.f_code.co_filename.startswith(SOURCE)


def _is_psycopg(frame: FrameType | None) -> bool:
    return frame is not None and str(frame.f_globals.get("__name__")).startswith("psycopg")


def hops(around: Around, call: Callable[[], object]) -> Hops:
    with around():
        call()
    with around():
        return Hops(call)


def saved(size: int) -> str:
    return db_file_storage.save("a.pdf", ContentFile(content(size)))


@BY_ITSELF_AND_IN_A_TRANSACTION
def test_a_small_file_is_opened(around: Around) -> None:
    name = saved(1000)
    opened: list[DbFile] = []
    counted = hops(around, lambda: opened.append(db_file_storage.open(name)))
    for file in opened:
        file.close()
    assert len(counted.calls) <= 40, str(counted)


@BY_ITSELF_AND_IN_A_TRANSACTION
def test_a_small_file_is_opened_read_and_closed(around: Around) -> None:
    name = saved(1000)

    def read() -> None:
        file = db_file_storage.open(name)
        file.read()
        file.close()

    counted = hops(around, read)
    assert len(counted.calls) <= 55, str(counted)


@BY_ITSELF_AND_IN_A_TRANSACTION
def test_a_large_file_is_read(around: Around) -> None:
    name = saved(3 * 1024 * 1024)
    with around():
        hops_of_read: list[Hops] = []
        for _ in range(2):
            with db_file_storage.open(name) as file:
                hops_of_read.append(Hops(file.read))
    counted = hops_of_read[-1]
    assert len(counted.calls) <= 60, str(counted)
    assert len(counted.objects) <= 5, str(counted)


@BY_ITSELF_AND_IN_A_TRANSACTION
def test_a_row_is_created_with_its_file(around: Around) -> None:
    counted = hops(around, lambda: Invoice.objects.create(data=ContentFile(b"an invoice", name="a.pdf")))
    assert len(counted.calls) <= 158 + 3 * ASKED_TWICE, str(counted)


def test_a_small_file_is_downloaded() -> None:
    name = saved(1024)
    request = RequestFactory().get("/")

    def download() -> None:
        response = db_serve(request, name)
        b"".join(cast("Iterable[bytes]", response))
        response.close()

    counted = hops(nullcontext, download)
    assert len(counted.calls) <= 50, str(counted)
