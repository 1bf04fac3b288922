"""Tenants: made, emptied, cloned and dropped; and what each of them has."""

from collections.abc import Callable
from typing import Any

from django.db import connection
from django.test import Client
from django_tenants.clone import CloneSchema
from django_tenants.utils import schema_context

from pg_lo_storage.storage import db_file_storage
from tests.tenants.customers.models import Customer, Domain
from tests.tenants.shop.models import Invoice, Scan

Clone = Callable[[str, str], None]
Oids = Callable[[], set[int]]


def make_tenant(schema: str) -> None:
    customer = Customer(schema_name=schema, name=schema)
    customer.save(verbosity=0)
    Domain.objects.create(tenant=customer, domain=f"{schema}.test", is_primary=True)


def clone(source: str, schema: str) -> None:
    """Make a tenant that has all that another has, as django-tenants does it."""
    customer = Customer(schema_name=schema, name=schema)
    customer.auto_create_schema = False
    customer.save(verbosity=0)
    Domain.objects.create(tenant=customer, domain=f"{schema}.test", is_primary=True)
    CloneSchema().clone_schema(source, schema, clone_mode="DATA")


def drop_schema(schema: str) -> None:
    connection.set_schema_to_public()
    with connection.cursor() as cursor:
        cursor.execute(f'drop schema if exists "{schema}" cascade')
    Customer.objects.filter(schema_name=schema).delete()


def tenant_names() -> list[str]:
    connection.set_schema_to_public()
    return list(Customer.objects.order_by("schema_name").values_list("schema_name", flat=True))


def empty(schema: str) -> None:
    with schema_context(schema), connection.cursor() as cursor:
        cursor.execute("truncate shop_invoice, shop_scan")
        cursor.execute("truncate pg_lo_storage_file")


def entries(schema: str) -> set[str]:
    """Return the names of the files that a tenant's own catalogue has, or the one that it shares."""
    with schema_context(schema), connection.cursor() as cursor:
        cursor.execute("select loid || coalesce(extension, '') from pg_lo_storage_file")
        return {name for (name,) in cursor.fetchall()}


def named(schema: str) -> set[str]:
    """Return the names that a tenant's rows have."""
    with schema_context(schema):
        rows: list[Any] = [*Invoice.objects.values_list("data", "copy"), *Scan.objects.values_list("data")]
    return {name for row in rows for name in row if name}


def stored(schema: str, name: str) -> bytes:
    with schema_context(schema), db_file_storage.open(name) as file:
        return file.read()


def client(schema: str) -> Client:
    return Client(headers={"host": f"{schema}.test"})
