"""Figures of the stored files, and of what is read and written, for Prometheus and OpenTelemetry.

Install ``pg-lo-storage[prometheus]`` or ``pg-lo-storage[opentelemetry]``; neither is imported before it is used.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from prometheus_client import CollectorRegistry
    from prometheus_client.registry import Collector

__all__ = ["export_to_opentelemetry", "measure_for_prometheus", "prometheus_collector"]

_MINUTE: Final = 60.0
_HOUR: Final = 3600.0


def prometheus_collector(
    databases: Sequence[str] | None = None, *, max_age: float = _MINUTE, orphans_max_age: float | None = _HOUR
) -> "Collector":
    """Return a collector of the figures of the stored files, to be registered in a registry of Prometheus's client.

    ``databases`` are aliases, by default each that a storage, a setting or a router has for files. They are asked in
    the scrape, when the last answer is older than ``max_age`` seconds; meanwhile other scrapes get that. Files that no
    row names are searched for in all rows, every ``orphans_max_age`` seconds, or never with ``None``. What a database
    does not answer is left out, and counted as ``pg_lo_storage_statistics_errors_total``.

    :raises ModuleNotFoundError: ``prometheus_client`` is not installed.
    """
    from pg_lo_storage.contrib.metrics.prometheus import FilesCollector

    return FilesCollector(databases, max_age, orphans_max_age)


def measure_for_prometheus(registry: "CollectorRegistry | None" = None) -> Callable[[], None]:
    """Measure from now on what this process reads and writes over Django's connections.

    The metrics ``pg_lo_storage_operation_seconds``, a histogram, and ``pg_lo_storage_transferred_bytes_total`` are
    registered in ``registry``, by default ``prometheus_client.REGISTRY``. Call what it returns to end that.

    :raises ModuleNotFoundError: ``prometheus_client`` is not installed.
    :raises ValueError: the registry has them already.
    """
    from pg_lo_storage.contrib.metrics.prometheus import measure

    return measure(registry)


def export_to_opentelemetry(
    meter_provider: "MeterProvider | None" = None,
    databases: Sequence[str] | None = None,
    *,
    max_age: float = _MINUTE,
    orphans_max_age: float | None = _HOUR,
) -> Callable[[], None]:
    """Make the instruments of OpenTelemetry for the figures of the stored files, and for what this process transfers.

    They are of ``meter_provider``, by default the global one. The rest is as with :func:`prometheus_collector` and
    :func:`measure_for_prometheus`. Call what it returns to end that: OpenTelemetry's instruments stay, and are silent.

    :raises ModuleNotFoundError: ``opentelemetry-api`` is not installed.
    """
    from pg_lo_storage.contrib.metrics.opentelemetry import export

    return export(meter_provider, databases, max_age, orphans_max_age)
