"""What empties the tables after a test in transactions of its own: Django's flush takes longer than most tests."""

from typing import Any, Final

from django.core.management.commands.flush import Command as Flush
from django.db import connections, transaction
from typing_extensions import override

# Of what post_migrate makes nothing is removed, so that it need not be sent; all foreign keys are deferred.
_DELETE: Final = """
do $$
declare
  t regclass;
begin
  for t in
    select oid from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace
    and relname not in ('django_migrations', 'django_content_type', 'auth_permission')
  loop
    execute 'delete from ' || t;
  end loop;
end $$
"""


class Command(Flush):
    """Delete all rows."""

    @override
    def handle(self, **options: Any) -> None:
        alias: str = options["database"]
        with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            cursor.execute(_DELETE)
