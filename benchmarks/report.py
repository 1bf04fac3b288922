"""RESULTS.md and its plots, made of what was measured."""

from pathlib import Path

from benchmarks.contenders import find
from benchmarks.goals import goals_table
from benchmarks.plots import Bar, Group, chart
from benchmarks.questions import QUESTIONS, Question
from benchmarks.ratios import Answer, Spread, digits, memory
from benchmarks.records import Records
from benchmarks.tables import cell_title, compared, legend, markdown, question_table, reference_name

HEAD = """# Results

Made by `just bench`; `just bench --report` makes this page again of what was measured. Each measurement is a fresh
process on a fresh connection; the contenders take turns, {rounds} rounds of them, and a ratio is of two measurements
of the same round: median [least to most]. Small files are done several times in one measurement: the mean counts. All
that read large objects read the same ones, which this library saved. The server syncs to disk; contents and tables
are in the page cache.

{machine}

## What was promised

{goals}
"""
NOTES = """
## How it is measured

- C is a program of `lo_read` and `lo_write` calls with the buffer, of 64 KB to 1 MB, with which it was fastest in the
  same run, on a backend that was warmed: it has freed a large block, so that glibc keeps memory.
- Round trips are counted by a proxy, in an untimed run, as the server's ReadyForQuery messages. Downloads include
  those that open the request's connection.
- The time includes the commit, not the connection, nor what Python loads. CPU is that of the client's process and of
  the backend. Memory is the peak of the process over what it had before, from `/proc`.
- pg-lo-storage 0.2.2 needs the right to read `pg_largeobject`, which it was granted, and is used in transactions.
- Text is of words, compressible; of the others than large objects only random bytes are measured.
"""


def write(records: Records, folder: Path) -> Path:
    """Write the page and its plots into the folder; return the page."""
    answers = {question.key: Answer(tuple(records.read(question.key))) for question in QUESTIONS}
    answers = {key: answer for key, answer in answers.items() if answer.records}
    rounds = max((record.round for answer in answers.values() for record in answer.records), default=0) + 1
    facts = markdown(("", ""), list(records.read_facts().items()), names=2)
    sections = [HEAD.format(rounds=rounds, machine=facts, goals=goals_table(answers))]
    plots = folder / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    for question in QUESTIONS:
        if question.key in answers:
            answer = answers[question.key]
            plots.joinpath(f"{question.key}.svg").write_text(plot(question, answer))
            sections.append(section(question, answer))
    page = folder / "RESULTS.md"
    page.write_text("\n".join([*sections, NOTES.lstrip("\n")]))
    return page


def section(question: Question, answer: Answer) -> str:
    """Return what is told of one question."""
    lines = [
        f"## {question.title}\n",
        f"{question.text}\n",
        f"![{question.title}](plots/{question.key}.svg)\n",
        question_table(question, answer) + "\n",
        legend(question) + "\n",
    ]
    errors = dict.fromkeys((find(contender).label, error) for contender, _, error in answer.errors())
    lines += [f"Left out: {label}: `{error}`\n" for label, error in errors]
    return "\n".join(lines)


def plot(question: Question, answer: Answer) -> str:
    """Return the question's plot: of speeds, or of megabytes where memory is what is asked."""
    amounts = question.key == "memory"
    groups: list[Group] = []
    for cell in answer.cells():
        bars: list[Bar] = []
        for contender in answer.contenders(cell):
            spread = answer.spread(cell, contender, memory) if amounts else compared(question, answer, cell, contender)
            if spread:
                bars.append(_bar(contender, spread, "MB" if amounts else "x"))
        if bars:
            groups.append(Group(cell_title(cell), tuple(bars)))
    measure = "MB by which the process grew" if amounts else f"speed, x {reference_name(question)}"
    return chart(f"{question.title}: {measure}", groups, ratios=not amounts)


def _bar(contender: str, spread: Spread, unit: str) -> Bar:
    kind = "own" if contender.startswith("own-") else "ref" if contender in {"c", "c-keeps"} else "other"
    return Bar(find(contender).label, *spread, kind, f"{digits(spread.median)} {unit}")
