"""docs/scaling.md: its commands are those that there are, and its router does what is said."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.db import router
from django.test import override_settings

from pg_lo_storage.management.commands.largeobjects import Command
from tests.invoices.models import Invoice, Note

pytestmark = pytest.mark.once

PAGE = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text(encoding="utf-8")


def test_the_commands_are_understood() -> None:
    commands = re.findall(r"^\$ python manage\.py largeobjects (.*)$", PAGE, flags=re.MULTILINE)
    assert len(commands) == 5
    for command in commands:
        options = vars(Command().create_parser("manage.py", "largeobjects").parse_args(command.split()))
        assert (options["source"], options["target"]) == ("default", "other")
        assert options["where"]


def test_the_router_has_a_row_stay_where_it_is() -> None:
    settings, snippet = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert "PG_LO_STORAGE_DB_FOR_READ" in settings
    namespace: dict[str, Any] = {}
    exec(snippet, namespace)
    with override_settings(DATABASE_ROUTERS=[namespace["ShardRouter"]()]):
        assert router.db_for_write(Invoice) == "default"
        token = namespace["shard"].set("other")
        try:
            assert router.db_for_write(Invoice) == router.db_for_read(Invoice) == "other"
            here, there = Invoice(), Note()
            here._state.db, there._state.db = "default", "other"
            assert router.db_for_write(Invoice, instance=here) == "default"
            assert not router.allow_relation(here, there)
        finally:
            namespace["shard"].reset(token)
