"""Under triggers the statements that no save() is in hold the files that their rows come to name."""

from collections.abc import Callable, Iterator

import pytest
from django.db import IntegrityError, OperationalError, transaction

from pg_lo_storage.exceptions import LargeObjectNotFound
from tests.lifecycle.guards import BOTH, TRIGGERS
from tests.lifecycle.papers.models import Paper, Version
from tests.lifecycle.sessions import Session
from tests.lifecycle.support import check, upload

pytestmark = pytest.mark.parametrize("guard", [TRIGGERS, BOTH], indirect=True)


@pytest.fixture
def other() -> Iterator[Session]:
    with Session() as session:
        yield session


def by_update(version: Version, name: str) -> None:
    Version.objects.filter(pk=version.pk).update(data=name)


def by_bulk_update(version: Version, name: str) -> None:
    version.data = name
    Version.objects.bulk_update([version], ["data"])


def by_bulk_create(_version: Version, name: str) -> None:
    Version.objects.bulk_create([Version(data=name)])


def by_upsert(version: Version, name: str) -> None:
    rows = [Version(pk=version.pk, data=name)]
    Version.objects.bulk_create(rows, update_conflicts=True, unique_fields=["pk"], update_fields=["data"])


NAMINGS = [by_update, by_bulk_update, by_bulk_create, by_upsert]


@pytest.mark.parametrize("naming", NAMINGS)
def test_who_replaces_the_last_row_waits_for_who_names_its_file(
    naming: Callable[[Version, str], None], other: Session, catalogue: bool
) -> None:
    paper, version = Paper.objects.create(data=upload()), Version.objects.create()
    with transaction.atomic():
        naming(version, str(paper.data.name))
        started = other.start(lambda: Paper.objects.update(data=""))
        assert other.waits(started)
    started.result(timeout=30)
    check(b"first", catalogue=catalogue)


@pytest.mark.parametrize("naming", NAMINGS)
def test_who_names_a_file_waits_for_who_replaces_the_last_row(
    naming: Callable[[Version, str], None], other: Session, catalogue: bool
) -> None:
    paper, version = Paper.objects.create(data=upload()), Version.objects.create()
    with transaction.atomic():
        Paper.objects.update(data="")
        started = other.start(lambda: naming(version, str(paper.data.name)))
        assert other.waits(started)
    with pytest.raises((IntegrityError, OperationalError, LargeObjectNotFound)):
        started.result(timeout=30)
    check(catalogue=catalogue)
