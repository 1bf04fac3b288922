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
    """One transaction of the database, or a savepoint of one, for all that a filesystem does.

    A file takes part once it is closed. So does whatever else uses the connection until the end.
    """

    __module__ = "pg_lo_storage.contrib.fsspec"

    def __init__(self, fs: FileSystem) -> None:
        super().__init__(fs)
        self._session = fs.session
        self._end: End | None = None
        self._over = False

    @override
    def start(self) -> None:
        """Begin.

        :raises RuntimeError: it has begun already, or is over.
        """
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
        """Commit, or roll back.

        :raises ValueError: a file is still open for writing; all was rolled back.
        """
        with self._session.lock:
            end, self._end = self._end or self._session.begin(whole=True), None
            self._over = True
            left_open = [file for file in self.files if not file.closed] if commit else []
            try:
                super().complete(commit and not left_open)
                if commit:
                    check_closed(left_open)
                    # This raises in a failed transaction, in which COMMIT would be a silent ROLLBACK.
                    self._session.driver.exists(MAX_OID)
            except BaseException:
                end(False)
                raise
            end(commit)

    @property
    def is_begun(self) -> bool:
        """Whether a rollback would undo what is stored now."""
        return self._end is not None


def check_closed(left_open: "list[Deferred]") -> None:
    """Raise ValueError for files that are open: their compressors or encoders may still hold bytes back."""
    if left_open:
        message = f"close files before the transaction ends: {left_open} are not, and nothing is committed"
        raise ValueError(message)
