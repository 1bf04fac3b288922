"""Without the catalogue rows move as well: by a project's own command, since then there is no ``largeobjects``."""

import pytest
from django.core.management import CommandError

from tests.lifecycle.guards import EVERY_GUARD
from tests.lifecycle.papers.models import Paper
from tests.lifecycle.support import image, sql, upload
from tests.lifecycle.transfers import LARGE, objects, paper, rows, transfer

pytestmark = pytest.mark.parametrize("catalogue", [False], ids=["bare"], indirect=True)


@EVERY_GUARD
def test_rows_and_files_move_and_nothing_stays(guard: str) -> None:
    paper(title="small", data=upload(name="a.tar.gz"), scan=image(1, 1))
    paper(title="large", data=upload(LARGE))
    before, [(name,)] = rows(Paper, "default"), sql("select data from papers_paper where title = 'small'")
    transfer("papers.Paper", "--keep")
    assert "2 of which an earlier run had copied" in transfer("papers.Paper")
    assert rows(Paper, "other") == before
    assert (objects("default"), objects("other")) == (0, 3), guard
    [(moved,)] = sql("select data from papers_paper where title = 'small'", using="other")
    assert moved.partition(".")[2] == name.partition(".")[2] == "tar.gz"


def test_a_name_without_a_file_is_an_error() -> None:
    broken = paper(title="broken")
    sql("update papers_paper set data = '4000000123.pdf' where id = %s", broken.pk)
    with pytest.raises(CommandError, match=r"names '4000000123\.pdf' in data, and 'default' has no such file"):
        transfer("papers.Paper")
