"""Files that another role owns: who may not unlink them learns which of many it is, and nothing is lost."""

from collections.abc import Callable

import pytest

from pg_lo_storage.exceptions import LargeObjectPermissionDenied
from pg_lo_storage.storage import db_file_storage
from tests.drivers.support import execute
from tests.fixtures.connections import Connect
from tests.lifecycle.papers.models import Paper
from tests.lifecycle.support import check, upload

UNLINKS: dict[str, Callable[[Paper], object]] = {
    "delete many": lambda _: Paper.objects.all().delete(),
    "delete one": lambda foreign: foreign.delete(),
    "clear": lambda foreign: Paper(pk=foreign.pk, data="").save(),
    "of the field": lambda foreign: foreign.data.delete(),
    "of the storage": lambda foreign: db_file_storage.delete(str(foreign.data.name)),
}


@pytest.mark.parametrize("unlink", UNLINKS.values(), ids=UNLINKS)
def test_the_error_names_the_object_that_may_not_be_unlinked(
    connect: Connect, catalogue: bool, unlink: Callable[[Paper], object]
) -> None:
    papers = [Paper.objects.create(data=upload(b"%d" % number)) for number in range(5)]
    foreign = papers[3]
    loid = foreign.data.loid
    superuser = connect(user="postgres", autocommit=True)
    execute(superuser, f"alter large object {loid} owner to stranger")
    try:
        with pytest.raises(LargeObjectPermissionDenied, match=f"ALTER LARGE OBJECT {loid} OWNER TO") as caught:
            unlink(foreign)
        assert caught.value.oid == loid
    finally:
        execute(superuser, f"alter large object {loid} owner to app")
    check(*(b"%d" % number for number in range(5)), catalogue=catalogue)
