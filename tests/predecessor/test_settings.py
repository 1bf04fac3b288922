"""What is left of warehouse-py's settings is named, with what it is called now."""

import pytest
from django.core.checks import CheckMessage, run_checks
from django.test import override_settings

RENAMED = {
    "WAREHOUSE_DB_FOR_READ": "PG_LO_STORAGE_DB_FOR_READ",
    "WAREHOUSE_DB_FOR_WRITE": "PG_LO_STORAGE_DB_FOR_WRITE",
}


def warnings_of_settings() -> list[CheckMessage]:
    return [message for message in run_checks() if message.id == "pg_lo_storage.W001"]


def test_without_them_nothing_is_said() -> None:
    assert not warnings_of_settings()
    with override_settings(PG_LO_STORAGE_DB_FOR_READ="default", PG_LO_STORAGE_DB_FOR_WRITE="default"):
        assert not warnings_of_settings()


@pytest.mark.parametrize("old", RENAMED)
def test_each_is_named_with_its_new_name(old: str) -> None:
    with override_settings(**{old: "other"}):
        [message] = warnings_of_settings()
    assert old in message.msg
    assert RENAMED[old] in message.msg
    assert message.hint


def test_both_are_named() -> None:
    with override_settings(**dict.fromkeys(RENAMED, "other")):
        assert len(warnings_of_settings()) == 2
