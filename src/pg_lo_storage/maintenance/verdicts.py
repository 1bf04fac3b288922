"""What adoption decides about a name, and the counts of its decisions."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, Self, TypeAlias

from pg_lo_storage.maintenance.name_columns import NameColumn

__all__ = ["Adopted", "Outcome", "Verdict"]

Outcome: TypeAlias = Literal[
    "adopted", "present", "missing", "malformed", "foreign", "disputed", "elsewhere", "unowned", "old"
]


@dataclass
class Adopted:
    """What became of the names in a column, counted by row; blank ones are not counted.

    ``adopted``: entered now. ``present``: catalogued before, or named by an earlier row. ``missing``: no such object.
    ``malformed``: no stored name. ``foreign``: catalogued under another extension, and left so. ``disputed``: rows name
    the object under several extensions. ``elsewhere``: another schema's catalogue has the object. ``unowned``: the
    object is another role's. ``old``: a ``TransitionalStorage`` has a file of that name at its old place.
    """

    adopted: int = 0
    present: int = 0
    missing: int = 0
    malformed: int = 0
    foreign: int = 0
    disputed: int = 0
    elsewhere: int = 0
    unowned: int = 0
    old: int = 0

    @property
    def total(self) -> int:
        """How many names there were."""
        return sum(vars(self).values())

    def add(self, outcome: Outcome, rows: int) -> None:
        """Count the rows of a name; each object is adopted once."""
        first = 1 if outcome == "adopted" else 0
        self.adopted += first
        other = "present" if first else outcome
        setattr(self, other, getattr(self, other) + rows - first)

    def __iadd__(self, other: Self) -> Self:
        for name, count in vars(other).items():
            setattr(self, name, getattr(self, name) + count)
        return self

    def __str__(self) -> str:
        text = f"{self.adopted} adopted, {self.present} already there, {self.missing} without a large object"
        rarer = {
            "malformed": self.malformed,
            "catalogued under another extension": self.foreign,
            "named under several extensions": self.disputed,
            "in another schema's catalogue": self.elsewhere,
            "of another role": self.unowned,
            "at their old place": self.old,
        }
        return text + "".join(f", {count} {what}" for what, count in rarer.items() if count)


class Verdict(NamedTuple):
    """What becomes of a name that ``rows`` rows of a column have, and why."""

    column: NameColumn
    name: str
    rows: int
    outcome: Outcome
    detail: str = ""

    @property
    def is_refused(self) -> bool:
        """Whether the name is not taken."""
        return self.outcome not in {"adopted", "present"}

    @property
    def reason(self) -> str:
        """The outcome in words."""
        reasons: dict[Outcome, str] = {
            "adopted": "adopted",
            "present": "already there",
            "missing": "refused, there is no such large object",
            "malformed": "refused, no stored file has such a name",
            "foreign": f"refused, the file is {self.detail}",
            "disputed": f"refused, rows name one object {self.detail}",
            "elsewhere": "refused, the catalogue of another schema has the object",
            "unowned": f"refused, the object is of the role {self.detail}, see --any-owner",
            "old": "refused, the file of that name is still at its old place",
        }
        return reasons[self.outcome]

    def __str__(self) -> str:
        return f"{self.column}: {self.name!r}: {self.reason}"
