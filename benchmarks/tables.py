"""The table of a question, in Markdown."""

from collections.abc import Sequence

from benchmarks.contenders import find
from benchmarks.questions import Question
from benchmarks.ratios import (
    Answer,
    Spread,
    Value,
    client_cpu,
    digits,
    first_byte,
    in_ms,
    memory,
    rate,
    server_cpu,
    throughput,
)
from benchmarks.records import Cell

NOTHING = "-"
SPEED = "Speed: how many times as fast as {reference}, median [least to most] of the rounds. "
COSTS: dict[str, Value] = {
    "client CPU": client_cpu,
    "server CPU": server_cpu,
    "memory": memory,
    "first byte": first_byte,
}
COSTS_OF_FILES: dict[str, Value] = {
    "files/s": rate,
    "MB/s": throughput,
    "client CPU": in_ms("client_cpu"),
    "server CPU": in_ms("server_cpu"),
}
COSTS_OF_REQUESTS: dict[str, Value] = {
    "a second": rate,
    "p50": in_ms("p50"),
    "p99": in_ms("p99"),
    "worker CPU": in_ms("client_cpu"),
    "server CPU": in_ms("server_cpu"),
}
COSTS_BY = {"byte": COSTS, "request": COSTS_OF_REQUESTS, "file": COSTS_OF_FILES}


def question_table(question: Question, answer: Answer) -> str:
    """Return what each contender costs in each cell."""
    rows: list[list[str]] = []
    for cell in answer.cells():
        title = cell_title(cell)
        for contender in answer.contenders(cell):
            if answer.samples(cell, contender):
                rows.append([title, *_row(question, answer, cell, contender)])
                title = ""
    headings = [*(["round trips"] if question.by == "byte" else []), *COSTS_BY[question.by]]
    return markdown(("", "", "speed", *headings), rows, names=2)


def legend(question: Question) -> str:
    """Return what the columns mean."""
    speed = SPEED.format(reference=reference_name(question))
    if question.by == "file":
        return f"{speed}CPU: ms for each file, of all clients and of all backends."
    if question.by == "request":
        return f"{speed}A second: requests. p50, p99: ms within which so many in 100 are answered. CPU: ms each."
    return f"{speed}CPU: ms for each MB. Memory: MB by which the process grew at most. First byte: ms."


def compared(question: Question, answer: Answer, cell: Cell, contender: str) -> Spread | None:
    """Return the contender's speed in comparison with whom the question names."""
    if question.reference:
        return answer.speed(cell, contender, question.reference)
    return answer.speed(cell, contender, contender, to=answer.first(cell))


def reference_name(question: Question) -> str:
    """Return whom the question compares with."""
    return find(question.reference).label if question.reference else "in the first of these"


def cell_title(cell: Cell) -> str:
    """Return what was done, on what."""
    number = f"{cell.rows:,} x " if cell.rows else ""
    among = f", among {cell.objects:,} files" if cell.objects else ""
    content = "" if cell.content == "random" else f", {cell.content}"
    under = f", {cell.server}" if cell.server else ""
    by = f", by {cell.writers} at once" if cell.writers else ""
    named = "" if cell.named is None else f", {cell.named:,} rows{', listed' if cell.listed else ''}"
    return f"{cell.operation}, {number}{size_name(cell.size)}{content}{among}{named}{by}{under}"


def size_name(size: int) -> str:
    """Return a size as one speaks of it."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if size >= factor:
            return f"{size / factor:g} {unit}"
    return f"{size} bytes"


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]], names: int = 1) -> str:
    """Return a table; the first columns, of ``names``, are aligned to the left, the others to the right."""
    widths = [max(3, *map(len, column)) for column in zip(headings, *rows, strict=True)]
    sides = ["<" if number < names else ">" for number in range(len(widths))]

    def line(cells: Sequence[str]) -> str:
        padded = (f"{cell:{side}{width}}" for cell, side, width in zip(cells, sides, widths, strict=True))
        return f"| {' | '.join(padded)} |"

    rule = ["-" * (width - 1) + ("-" if side == "<" else ":") for side, width in zip(sides, widths, strict=True)]
    return "\n".join([line(headings), line(rule), *map(line, rows)])


def _row(question: Question, answer: Answer, cell: Cell, contender: str) -> list[str]:
    speed = compared(question, answer, cell, contender)
    costs = [answer.spread(cell, contender, value) for value in COSTS_BY[question.by].values()]
    numbers = [NOTHING if spread is None else digits(spread.median) for spread in costs]
    if question.by == "byte":
        trips = answer.round_trips(cell, contender)
        numbers.insert(0, NOTHING if trips is None else f"{trips:,}")
    return [find(contender).label, str(speed or NOTHING), *numbers]
