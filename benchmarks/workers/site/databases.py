"""A job's database, as Django wants it."""

from typing import Any

from benchmarks.jobs import Job

OPTIONS = ("sslmode", "gssencmode")


def database_of(job: Job) -> dict[str, Any]:
    """Return an entry of ``DATABASES``."""
    options: dict[str, Any] = {name: job.parameters[name] for name in OPTIONS if name in job.parameters}
    if job.server == "uvicorn-pool":
        options["pool"] = True
    if job.prepares:
        options["prepare_threshold"] = 5
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": job.parameters["dbname"],
        "USER": job.parameters["user"],
        "HOST": job.parameters["host"],
        "PORT": job.parameters["port"],
        "OPTIONS": options,
        "CONN_MAX_AGE": 60 if job.server == "gthread" else 0,
    }
