"""Compare this library with other ways to keep files: ``just bench``."""

import argparse
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.building import ROOT, CannotBuild, Workshop
from benchmarks.cluster import open_cluster
from benchmarks.contenders import CONTENDERS
from benchmarks.machine import describe
from benchmarks.measuring import Bench
from benchmarks.questions import FULL, QUESTIONS, QUICK, Scale
from benchmarks.ratios import Answer
from benchmarks.records import Records
from benchmarks.running import ask
from benchmarks.tables import question_table

HERE = Path(__file__).parent
KEYS = [question.key for question in QUESTIONS]
LISTS = ("sizes", "contents", "contenders", "named", "writers")
UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9}


def main() -> int:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(prog="just bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="less of everything, in some minutes; leaves RESULTS.md alone"
    )
    parser.add_argument("--only", action="append", choices=KEYS, help="one question; may be repeated")
    parser.add_argument("--sizes", type=parse_size, nargs="+", help="as 10MB; this and what follows is a trial")
    parser.add_argument("--contents", nargs="+", choices=("random", "text"))
    parser.add_argument("--contenders", nargs="+", choices=[contender.key for contender in CONTENDERS])
    parser.add_argument("--named", type=int, nargs="+", help="rows of the tables of growth, the least first")
    parser.add_argument("--writers", type=int, nargs="+", help="how many processes write at once")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--cache", type=Path, default=ROOT / ".bench", help="the folder for all that is built")
    parser.add_argument("--report", action="store_true", help="measure nothing: make the report of the last full run")
    options = parser.parse_args()
    scale = QUICK if options.quick else FULL
    changes: dict[str, Any] = {name: tuple(value) for name in LISTS if (value := getattr(options, name))}
    if options.rounds:
        changes["rounds"] = options.rounds
    kind = "trial" if changes else "quick" if options.quick else "results"
    records = Records(options.cache / kind)
    try:
        if not options.report:
            run(Workshop(options.cache), replace(scale, **changes), options.only or KEYS, records)
        page = report.write(records, HERE if kind == "results" else records.folder)
    except CannotBuild as error:
        print(f"cannot run: {error}", file=sys.stderr)
        return 1
    print(f"\n{page}")
    return 0


def parse_size(text: str) -> int:
    """Return the bytes of ``10MB``."""
    if match := re.fullmatch(r"(\d+)(KB|MB|GB)", text):
        return int(match[1]) * UNITS[match[2]]
    raise argparse.ArgumentTypeError(f"a size is as 10MB, not {text!r}")


def run(workshop: Workshop, scale: Scale, only: list[str], records: Records) -> None:
    """Answer the questions, and keep the answers."""
    # Before anything takes long: what is missing is to be told at once.
    for name in ("lo", "wire", "load"):
        workshop.program(name)
    with open_cluster() as cluster, Bench(cluster, workshop, scale.thrift) as bench:
        records.write_facts(describe(bench))
        for question in QUESTIONS:
            if question.key in only:
                found = tuple(ask(bench, question, scale))
                records.write(question.key, found)
                print(f"\n{question.title}\n\n{question_table(question, Answer(found))}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
