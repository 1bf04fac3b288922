"""Start Ledger on an embedded PostgreSQL, with made-up users and files, until Ctrl-C; nothing is left behind.

Exit status: 0 ended by Ctrl-C or SIGTERM, 1 the server failed, 2 the command line.
"""

import argparse
import json
import os
import secrets
import signal
import sys
import time
from types import FrameType

import django

from example.cluster import Cluster
from example.webserver import WebServer


def stop(_number: int, _frame: FrameType | None) -> None:
    """End as by Ctrl-C."""
    raise KeyboardInterrupt


def prepare(server: Cluster, passwords: dict[str, str]) -> None:
    """Make the tables, the users and their files."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "example.site.settings"
    os.environ["PG_LO_SITE_DATABASE"] = json.dumps(server.django_database())
    os.environ["PG_LO_SITE_SECRET_KEY"] = secrets.token_urlsafe(50)
    django.setup()
    from django.core.management import call_command
    from django.db import connections

    from example.site.samples import create_samples

    call_command("migrate", verbosity=0)
    create_samples(passwords)
    connections.close_all()


def main() -> int:
    """Run the site and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="site", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=8000, help="0: any that is free (default: 8000)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, stop)
    begun = time.monotonic()
    passwords = {name: secrets.token_urlsafe(6) for name in ("ada", "grace", "admin")}
    try:
        with Cluster() as server:
            prepare(server, passwords)
            try:
                with WebServer("example.site.wsgi", options.port, loud=True) as web:
                    print(f"\nLedger is at {web.url}/, after {time.monotonic() - begun:.0f} s. Sign in as\n")
                    for name, password in passwords.items():
                        where = f"  also {web.url}/admin/" if name == "admin" else ""
                        print(f"    {name:8}{password}{where}")
                    print("\nCtrl-C ends it, and removes all that was uploaded.", flush=True)
                    return web.wait()
            except OSError as error:
                print(f"site: port {options.port}: {error}; choose another by --port", file=sys.stderr)
                return 1
    except KeyboardInterrupt:
        print("\nLedger has ended.")
        return 0


if __name__ == "__main__":
    sys.exit(main())
