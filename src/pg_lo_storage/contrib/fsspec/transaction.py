"""fsspec's transactions as the database's."""

from typing import TYPE_CHECKING

from typing_extensions import override

from pg_lo_storage.contrib.fsspec.base import FileSystem, Transaction
from pg_lo_storage.names import MAX_OID

if TYPE_CHECKING:
    from pg_lo_storage.contrib.fsspec.base import Deferred
    from pg_lo_storage.contrib.fsspec.sessions import End

__all__ = ["PgLoTransaction"]


class PgLoTransaction(Transaction):
    """All that a filesystem does in one transaction of the database, or in one savepoint where there is one.

    A file is in the transaction from its closing. Whatever else uses the connection until the end takes part.
    """

    __module__ = "pg_lo_storage.contrib.fsspec"

    def __init__(self, fs: FileSystem) -> None:
        super().__init__(fs)
        self._session = fs.session
        self._end: End | None = None
        self._over = False

    @override
    def start(self) -> None:
        """Begin; raises RuntimeError where it has begun, or is over."""
        if self._end is not None:
            message = "the filesystem is in a transaction already, and has one at a time"
            raise RuntimeError(message)
        if self._over:
            message = "this transaction is over: take the filesystem's attribute `transaction` again"
            raise RuntimeError(message)
        with self._session.lock:
            self._end = self._session.begin(whole=True)
        super().start()

    @override
    def complete(self, commit: bool = True) -> None:
        """Commit all or nothing; raises ValueError, and rolls back, where a file that is written is open yet."""
        with self._session.lock:
            end, self._end = self._end or self._session.begin(whole=True), None
            self._over = True
            left_open = [file for file in self.files if not file.closed] if commit else []
            try:
                super().complete(commit and not left_open)
                if commit:
                    check_closed(left_open)
                    # Of a transaction that has failed COMMIT would be a silent ROLLBACK.
                    self._session.driver.exists(MAX_OID)
            except BaseException:
                end(False)
                raise
            end(commit)

    @property
    def is_begun(self) -> bool:
        """Whether what is stored now is undone by a rollback."""
        return self._end is not None


def check_closed(left_open: "list[Deferred]") -> None:
    """Raise ValueError for files that are open: what compresses or encodes for them may hold the last of it back."""
    if left_open:
        message = f"close files before the transaction ends: {left_open} are not, and nothing is committed"
        raise ValueError(message)
