"""The metrics by OpenTelemetry's API: https://opentelemetry.io/docs/specs/otel/metrics/api."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import version

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter

from pg_lo_storage.contrib.metrics.figures import BUCKETS, ERRORS, GAUGES, ORPHANS, TRANSFERRED, Figure, Figures
from pg_lo_storage.databases.measuring import Operation, observe

__all__ = ["export"]


def export(
    meter_provider: MeterProvider | None,
    databases: Sequence[str] | None,
    max_age: float,
    orphans_max_age: float | None,
) -> Callable[[], None]:
    """See :func:`pg_lo_storage.contrib.metrics.export_to_opentelemetry`."""
    figures, is_over = Figures(databases, max_age, orphans_max_age), list[bool]()

    def values(figure: Figure, _options: CallbackOptions) -> Iterator[Observation]:
        if not is_over:
            for database, value in figures.of(figure):
                yield Observation(value, {"database": database})

    meter = get_meter("pg_lo_storage", version("pg-lo-storage"), meter_provider)
    for figure in (*GAUGES, ORPHANS):
        meter.create_observable_gauge(_name(figure), [partial(values, figure)], figure.unit, figure.text)
    meter.create_observable_counter(_name(ERRORS), [partial(values, ERRORS)], ERRORS.unit, ERRORS.text)
    seconds = meter.create_histogram(
        "pg_lo_storage.operation.duration",
        "s",
        "Reads and writes of files.",
        explicit_bucket_boundaries_advisory=BUCKETS,
    )
    transferred = meter.create_counter(_name(TRANSFERRED), TRANSFERRED.unit, TRANSFERRED.text)

    def told(alias: str, operation: Operation, size: int, took: float, /) -> None:
        attributes = {"database": alias, "operation": operation}
        seconds.record(took, attributes)
        transferred.add(size, attributes)

    stop_observing = observe(told)

    def stop() -> None:
        is_over.append(True)
        stop_observing()

    return stop


def _name(figure: Figure) -> str:
    return f"pg_lo_storage.{figure.name}"
