"""Whatever three tenants and a clone do, each has its own files; ``PG_LO_TENANT_OPERATIONS`` says how much they do."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import connection, transaction
from django_tenants.utils import schema_context
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.serving.asgi import get, wait_for_readers
from tests.tenants.shop.models import Invoice, Scan
from tests.tenants.support import Oids, client, clone, drop_schema, empty, entries, named, stored

TENANTS = ("blue", "green", "red", "teal")
CLONE = "teal"
LENGTH = 25
COUNT = max(1, int(os.environ.get("PG_LO_TENANT_OPERATIONS", "200")) // LENGTH)


class RolledBack(Exception):
    pass


@dataclass
class World:
    """What each tenant's rows have, by model and key; the clone has none before it is made."""

    rows: dict[str, dict[tuple[type[Invoice | Scan], int], bytes]] = field(
        default_factory=lambda: {schema: {} for schema in TENANTS}
    )
    is_cloned: bool = False

    def create(self, schema: str, kind: type[Invoice | Scan], data: bytes, _n: int) -> None:
        row = kind.objects.create(data=ContentFile(data, "a.txt"))
        self.rows[schema][kind, row.pk] = data

    def replace(self, schema: str, kind: type[Invoice | Scan], data: bytes, n: int) -> None:
        if (pk := self.key(schema, kind, n)) is not None:
            row = kind.objects.get(pk=pk)
            row.data = ContentFile(data, "b.bin")
            row.save()
            self.rows[schema][kind, pk] = data

    def share(self, schema: str, kind: type[Invoice | Scan], _data: bytes, n: int) -> None:
        """Have another row name a row's file."""
        if (pk := self.key(schema, kind, n)) is not None:
            row = kind.objects.create(data=kind.objects.get(pk=pk).data.name)
            self.rows[schema][kind, row.pk] = self.rows[schema][kind, pk]

    def delete(self, schema: str, kind: type[Invoice | Scan], _data: bytes, n: int) -> None:
        if (pk := self.key(schema, kind, n)) is not None:
            kind.objects.get(pk=pk).delete()
            del self.rows[schema][kind, pk]

    def delete_by_sql(self, schema: str, _kind: type[Invoice | Scan], _data: bytes, n: int) -> None:
        if (pk := self.key(schema, Scan, n)) is not None:
            connection.cursor().execute("delete from shop_scan where id = %s", [pk])
            del self.rows[schema][Scan, pk]

    def roll_back(self, schema: str, kind: type[Invoice | Scan], data: bytes, n: int) -> None:
        before = dict(self.rows[schema])
        with suppress(RolledBack), transaction.atomic():
            self.replace(schema, kind, data, n)
            self.delete(schema, kind, data, n)
            self.create(schema, kind, data, n)
            raise RolledBack
        self.rows[schema] = before

    def part(self, _schema: str, _kind: type[Invoice | Scan], _data: bytes, _n: int) -> None:
        """Make the clone, or give it files of its own."""
        connection.set_schema_to_public()
        if self.is_cloned:
            call_command("largeobjects", "detach", CLONE, "--yes", verbosity=0)
            assert not named(CLONE) & named("blue")
        else:
            clone("blue", CLONE)
            self.rows[CLONE] = dict(self.rows["blue"])
            self.is_cloned = True

    def key(self, schema: str, kind: type[Invoice | Scan], n: int) -> int | None:
        keys = [pk for model, pk in self.rows[schema] if model is kind]
        return keys[n % len(keys)] if keys else None

    def tenants(self) -> list[str]:
        return [schema for schema in TENANTS if schema != CLONE or self.is_cloned]

    def check(self, place: str) -> None:
        names = {schema: named(schema) for schema in self.tenants()}
        for schema in self.tenants():
            assert names[schema] <= entries(schema)
            if place != "shared":
                assert names[schema] == entries(schema), schema
            with schema_context(schema):
                found = {(model, row.pk): row.data.name for model in (Invoice, Scan) for row in model.objects.all()}
            assert {key: stored(schema, name) for key, name in found.items()} == self.rows[schema]
            for (model, pk), data in self.rows[schema].items():
                if model is Invoice:
                    assert client(schema).get(f"/mine/{pk}").getvalue() == data
                    assert asyncio.run(get(f"/mine/{pk}", host=f"{schema}.test")).body == data
            if place != "shared":
                for other in set().union(*names.values()) - names[schema]:
                    assert client(schema).get(f"/files/{other}").status_code == 404


OPERATIONS: list[Callable[[World, str, type[Invoice | Scan], bytes, int], None]] = [
    World.create,
    World.create,
    World.replace,
    World.share,
    World.delete,
    World.delete_by_sql,
    World.roll_back,
    World.part,
]
# Each history begins with a clone of something.
FIRST = [
    *((World.create, "blue", kind, size, 0) for kind in (Invoice, Scan) for size in (0, 5, 300_000)),
    *((World.create, schema, Invoice, 5, 0) for schema in ("green", "red")),
    (World.share, "blue", Invoice, 0, 1),
    (World.part, "blue", Invoice, 0, 0),
]
STEPS = st.tuples(
    st.sampled_from(OPERATIONS),
    st.sampled_from(TENANTS),
    st.sampled_from([Invoice, Scan]),
    st.sampled_from([0, 5, 300_000, 1_200_000]),
    st.integers(0, 5),
)


def test_each_tenant_has_its_own(place: str, large_objects: Oids) -> None:
    @settings(
        max_examples=COUNT,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],  # to make a failing history shorter takes minutes
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(STEPS, min_size=LENGTH, max_size=LENGTH))
    def run(steps: list[tuple[Callable[..., None], str, type[Invoice | Scan], int, int]]) -> None:
        world = World()
        try:
            for operation, schema, kind, size, n in [*FIRST, *steps]:
                if schema in world.tenants():
                    with schema_context(schema):
                        operation(world, schema, kind, os.urandom(size), n)
            world.check(place)
            for schema in world.tenants():
                with schema_context(schema):
                    Invoice.objects.all().delete()
                    Scan.objects.all().delete()
                assert named(schema) == set()
            assert large_objects() == set()
        finally:
            wait_for_readers()
            if world.is_cloned:
                drop_schema(CLONE)
            for schema in TENANTS[:3]:
                empty(schema)

    run()
