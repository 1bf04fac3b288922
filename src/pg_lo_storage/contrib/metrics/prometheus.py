"""The metrics by Prometheus's own client: https://prometheus.github.io/client_python."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from pg_lo_storage.contrib.metrics.figures import BUCKETS, ERRORS, GAUGES, ORPHANS, TRANSFERRED, Figure, Figures
from pg_lo_storage.databases.measuring import Operation, observe

__all__ = ["FilesCollector", "measure"]

_LABELS: Final = ("database", "operation")


class FilesCollector(Collector):
    """Yields the figures of the stored files."""

    def __init__(self, databases: Sequence[str] | None, max_age: float, orphans_max_age: float | None) -> None:
        self._figures = Figures(databases, max_age, orphans_max_age)

    def describe(self) -> Iterator[Metric]:
        """Yield the metrics without values, so that nothing is asked when it is registered."""
        yield from map(_family, (*GAUGES, ORPHANS, ERRORS))

    @override
    def collect(self) -> Iterator[Metric]:
        for figure in (*GAUGES, ORPHANS, ERRORS):
            family = _family(figure)
            for database, value in self._figures.of(figure):
                family.add_metric([database], value)
            yield family


def measure(registry: CollectorRegistry | None) -> Callable[[], None]:
    """See :func:`pg_lo_storage.contrib.metrics.measure_for_prometheus`."""
    used = REGISTRY if registry is None else registry
    name = "pg_lo_storage_operation_seconds"
    seconds = Histogram(name, "Reads and writes of files.", _LABELS, registry=None, buckets=BUCKETS)
    transferred = Counter(_name(TRANSFERRED), TRANSFERRED.text, _LABELS, registry=None)

    def unregister() -> None:
        for metric in (seconds, transferred):
            with contextlib.suppress(KeyError):  # it is not there, or not any more
                used.unregister(metric)

    try:
        used.register(seconds)
        used.register(transferred)
    except ValueError:
        unregister()
        raise

    def told(alias: str, operation: Operation, size: int, took: float, /) -> None:
        seconds.labels(alias, operation).observe(took)
        transferred.labels(alias, operation).inc(size)

    stop_observing = observe(told)

    def stop() -> None:
        stop_observing()
        unregister()

    return stop


def _family(figure: Figure) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if figure == ERRORS else GaugeMetricFamily
    return kind(_name(figure), figure.text, labels=_LABELS[:1])


def _name(figure: Figure) -> str:
    return f"pg_lo_storage_{figure.name}{figure.suffix}"
