"""A deletion that is rolled back, watched."""

from dataclasses import dataclass

from django.db import connection, transaction

from example.site.models import Invoice
from pg_lo_storage.storage import db_file_storage


@dataclass(frozen=True)
class Moment:
    """What there is of an invoice at one moment: the row, the file's large object, its bytes."""

    when: str
    row: bool
    large_object: bool
    content: str


def rehearse_deletion(invoice: Invoice) -> list[Moment]:
    """Delete the invoice in a transaction and roll it back; return what there was before, within and after."""
    pk, loid = invoice.pk, invoice.data.loid

    def look(when: str) -> Moment:
        with connection.cursor() as cursor:
            cursor.execute("select exists (select from pg_largeobject_metadata where oid = %s)", [loid])
            [(exists,)] = cursor.fetchall()
        row = Invoice.objects.filter(pk=pk).first()
        if row is None:
            return Moment(when, row=False, large_object=exists, content="gone")
        matches = db_file_storage.verify(str(row.data.name))
        return Moment(when, row=True, large_object=exists, content="SHA-256 matches" if matches else "DAMAGED")

    moments = [look("before")]
    with transaction.atomic():
        Invoice.objects.get(pk=pk).delete()
        moments.append(look("in the transaction, after DELETE"))
        transaction.set_rollback(True)
    return [*moments, look("after ROLLBACK")]
