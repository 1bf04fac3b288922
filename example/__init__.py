"""The demo, and the private PostgreSQL server that it, the tests and the benchmarks run on; not installed."""
