"""The words that the table of health is written in: what can be asked of a live object. Values only; `rules` evaluates them.

A path is dotted (`status.loadBalancer.ingress`), a key with dots stands in brackets (`metadata.annotations[helm.sh/hook]`), and what
follows a bar is the number or text that an absent field counts as (`spec.replicas|1`).
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.state.receipts import Health


@dataclass(frozen=True, slots=True)
class Is:
    """The object has this condition in one of these statuses (none given: any), for one of these reasons (none given: any)."""

    condition: str
    statuses: tuple[str, ...] = ("True",)
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Equals:
    """The field has one of these values."""

    path: str
    values: tuple[str | bool, ...]


@dataclass(frozen=True, slots=True)
class Matches:
    """The field is a text in which the pattern is found."""

    path: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Present:
    """The field is there and is neither empty nor 0."""

    path: str


@dataclass(frozen=True, slots=True)
class Less:
    """`left < right - minus`, of numbers or of times; false when one of them is absent and has no default."""

    left: str
    right: str
    minus: str = ""


@dataclass(frozen=True, slots=True)
class Differs:
    """Both fields are there, and differ."""

    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Some:
    """An item of one of these lists is so; paths inside and in the message start at the item."""

    lists: tuple[str, ...]
    so: Predicate


@dataclass(frozen=True, slots=True)
class Every:
    """All of these; without any, always. The message speaks of the last."""

    parts: tuple[Predicate, ...] = ()


@dataclass(frozen=True, slots=True)
class Either:
    """One of these; the message speaks of the first that is so."""

    parts: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """This is not so."""

    part: Predicate


Predicate = Is | Equals | Matches | Present | Less | Differs | Some | Every | Either | Not
"""An expression language (CEL) becomes one more member."""

ALWAYS = Every()


@dataclass(frozen=True, slots=True)
class Check:
    """One line of a rule: when this is so, that is the verdict.

    `message` holds `{path}`s, read where the predicate was found true: in the condition for `Is`, in the item for `Some`, else in the object.
    """

    health: Health
    when: Predicate
    message: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """The rule of one kind: its checks are asked in order and the first that is so decides; none: healthy.

    `ready` and `degraded` are for people; the latter where the checks alone would be hard to read.
    """

    group: str
    kind: str
    ready: str
    checks: tuple[Check, ...]
    degraded: str = ""
