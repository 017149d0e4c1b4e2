"""Resource quantities in the one form that a real server keeps: `1000m` is `1`, `1024Mi` is `1Gi`, `0.5` is `500m`. Called by defaults."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import Any

_QUANTITY = re.compile(r"([+-]?)(\d+\.?\d*|\.\d+)(?:([KMGTPE]i)|([mkMGTPE]?)|[eE]([+-]?\d+))")
_DECIMAL = ("m", "", "k", "M", "G", "T", "P", "E")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")


def canonical(value: Any) -> Any:
    """The quantity as a real server answers it; what is none is given back."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value
    return _canonical(str(value)) or value


@lru_cache(maxsize=4096)
def _canonical(text: str) -> str | None:
    found = _QUANTITY.fullmatch(text)
    if not found:
        return None
    sign, digits, binary, decimal, exponent = found.groups()
    number = Fraction(digits.removesuffix("."))
    if binary:
        number *= 1024 ** _BINARY.index(binary)
    elif exponent is not None:
        number *= Fraction(10) ** int(exponent)
    else:
        number *= Fraction(1000) ** (_DECIMAL.index(decimal) - 1)
    shown = _binary(ceil(number)) if binary and number >= 1024 else _decimal(ceil(number * 1000), exponent is not None)
    # A whole number that is in its form already stays as it was written, its zeros and its plus too.
    written = digits.removesuffix(".").lstrip("0") + (binary or decimal or (f"e{int(exponent)}" if exponent else ""))
    return text if written == shown else ("-" if sign == "-" and number else "") + shown


def _binary(number: int) -> str:
    step = 0
    while number % 1024 == 0 and step < len(_BINARY) - 1:
        number, step = number // 1024, step + 1
    return f"{number}{_BINARY[step]}"


def _decimal(thousandths: int, exponential: bool) -> str:
    step = 0
    while thousandths and thousandths % 1000 == 0 and step < len(_DECIMAL) - 1:
        thousandths, step = thousandths // 1000, step + 1
    if not thousandths:
        return "0"
    power = 3 * (step - 1)
    return f"{thousandths}{(f'e{power}' if power else '') if exponential else _DECIMAL[step]}"
