"""An error marks Django's atomic block for rollback; after a lost connection the end of the block raises."""

import contextlib
import inspect
from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from django.db import Error, OperationalError, connections, transaction
from django.db.backends.utils import CursorWrapper
from django.db.transaction import Atomic

from pg_lo_storage.databases.backends import METHODS, ON_INSTANCE
from pg_lo_storage.databases.watching import EXECUTING, DjangoWatcher, are_instrumented, has_others
from pg_lo_storage.drivers.watching import WATCHING
from pg_lo_storage.exceptions import LargeObjectError

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["apart", "atomic", "guarded", "notice_loss", "noticing_loss"]

_T = TypeVar("_T")

# libpq's PQTRANS_INERROR and PQTRANS_UNKNOWN, as both drivers give them.
_ABORTED: Final = 3
_LOST: Final = 4


@contextlib.contextmanager
def guarded(wrapper: "BaseDatabaseWrapper", used: _T, cursor: "CursorWrapper | None" = None) -> Generator[_T]:
    """Yield ``used`` by Django's rules: errors become Django's; one that breaks the atomic block has it rolled back.

    Who looks at Django's statements sees those of the block, by ``cursor`` if there is one already.

    Every exception counts: where Ctrl-C interrupts a query, only the connection knows whether that aborted anything.
    """
    wrapper.validate_no_broken_transaction()
    before = WATCHING.watcher
    is_watched = (
        (wrapper.execute_wrappers and has_others(wrapper.execute_wrappers))
        or wrapper.queries_logged
        or not ON_INSTANCE.isdisjoint(vars(wrapper))
        or are_instrumented((*METHODS(type(wrapper)), *EXECUTING(CursorWrapper)))
    )
    watcher = DjangoWatcher(wrapper, cursor) if is_watched else None
    WATCHING.watcher = watcher or before
    try:
        with wrapper.wrap_database_errors:
            yield used
    except BaseException as error:
        # Django looks after an error of its own whether the connection is lost, and so it does after a signal's.
        wrapper.errors_occurred = wrapper.errors_occurred or _status(wrapper) == _LOST
        if wrapper.in_atomic_block and (watcher is None or watcher.refusal is not error):
            _mark(wrapper, error)
        raise
    finally:
        WATCHING.watcher = before
        if watcher is not None:
            watcher.close()


@contextlib.contextmanager
def atomic(using: str) -> Generator[None]:
    """Run the block in ``transaction.atomic()``; notice, too, where Django's own queries lose the connection."""
    with noticing_loss(using), transaction.atomic(using=using):
        yield


@contextlib.contextmanager
def noticing_loss(using: str) -> Generator[None]:
    """Make the end of the outermost atomic block raise, if this block fails and the connection is lost."""
    try:
        yield
    except BaseException:
        notice_loss(using)
        raise


@contextlib.contextmanager
def apart(using: str) -> Generator[None]:
    """Leave a transaction that is open on ``using`` fit for use, whatever fails in the block."""
    with noticing_loss(using):
        if connections[using].get_autocommit():
            yield
        else:
            with transaction.atomic(using=using):
                yield


def notice_loss(using: str) -> None:
    """Make the end of the outermost atomic block raise, if the connection is lost."""
    wrapper = connections[using]
    if wrapper.in_atomic_block and _status(wrapper) == _LOST:
        _mark_lost(wrapper)


def _mark(wrapper: "BaseDatabaseWrapper", error: BaseException) -> None:
    status = _status(wrapper)
    if status == _LOST:
        _mark_lost(wrapper)
        return
    # An error of this package has a cause only where the server raised it, which aborts the transaction.
    aborted = error.__cause__ is not None if isinstance(error, LargeObjectError) else isinstance(error, Error)
    if aborted or status == _ABORTED:
        wrapper.set_rollback(rollback=True)


def _status(wrapper: "BaseDatabaseWrapper") -> object:
    return getattr(getattr(wrapper.connection, "info", None), "transaction_status", None)


def _mark_lost(wrapper: "BaseDatabaseWrapper") -> None:
    wrapper.set_rollback(rollback=True)
    if "close" not in vars(wrapper):
        # A block that is rolled back ends without an error. Where the rollback fails, Django calls close(): that can
        # raise, and leaves the connection fit for use.
        vars(wrapper)["close"] = partial(_close_lost, wrapper)


def _close_lost(wrapper: "BaseDatabaseWrapper") -> None:
    del vars(wrapper)["close"]
    wrapper.close()
    if _is_ending_normally(wrapper):
        message = "the connection was lost in this atomic block: the server has rolled back all that was done in it"
        raise OperationalError(message)


def _is_ending_normally(wrapper: "BaseDatabaseWrapper") -> bool:
    """Tell whether the outermost block is ending without an error, which another one would hide."""
    frame = inspect.currentframe()
    while frame is not None:
        block = frame.f_locals
        if frame.f_code is Atomic.__exit__.__code__ and block["connection"] is wrapper:
            # A test case ends its own block by a rollback that it asked for.
            return block["exc_type"] is None and not getattr(block["self"], "_from_testcase", False)
        frame = frame.f_back
    return False
