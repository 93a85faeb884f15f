"""Values of a TOML file, checked one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinyloc.errors import UsageError


class Values:
    """Checks that return the value, or raise a UsageError that names the file `where`, the key, the value and
    what was expected.
    """

    def __init__(self, where: str) -> None:
        self.where = where

    def wrong(self, key: str, value: object, expected: str) -> UsageError:
        """The error to raise."""
        return UsageError(f"{self.where}, {key}: {value!r}; expected {expected}")

    def known(self, value: Mapping[str, Any], names: tuple[str, ...], prefix: str) -> None:
        """Refuse a key that is none of `names`."""
        for key in value:
            if key not in names:
                raise UsageError(f"{self.where}, {prefix}{key}: no such key; expected {', '.join(names)}")

    def some(self, value: Mapping[str, Any], key: str, what: str) -> list[Any]:
        """A list with one entry at least."""
        found = value.get(key)
        if not isinstance(found, list) or not found:
            raise self.wrong(key, found, f"a list of {what}, one at least")
        return found

    def once(self, key: str, names: list[str] | tuple[str, ...], more: str = "") -> None:
        """Refuse a name that comes twice."""
        for name in names:
            if names.count(name) > 1:
                raise self.wrong(key, name, f"each only once{more}")

    def choice(self, key: str, value: Any, known: tuple[str, ...]) -> Any:
        """One of the known names."""
        if not isinstance(value, str) or value not in known:
            raise self.wrong(key, value, f"one of {', '.join(known)}")
        return value

    def choices(
        self,
        value: Mapping[str, Any],
        key: str,
        known: tuple[str, ...],
        default: tuple[str, ...],
        prefix: str,
        *,
        empty: bool = False,
    ) -> tuple[str, ...]:
        """Several of the known names, each once; `default` where the table has none."""
        found = value.get(key, list(default))
        if not isinstance(found, list) or not (found or empty):
            raise self.wrong(prefix + key, found, f"a list of {', '.join(known)}")
        for i, one in enumerate(found):
            self.choice(f"{prefix}{key}[{i}]", one, known)
        self.once(prefix + key, found)
        return tuple(found)

    def numbers(self, key: str, value: Any, least: int) -> tuple[int, ...]:
        """Whole numbers of at least `least`, each once, in rising order."""
        if not isinstance(value, list) or not value or any(type(n) is not int or n < least for n in value):
            raise self.wrong(key, value, f"a list of whole numbers of at least {least}")
        if len(set(value)) < len(value):
            raise self.wrong(key, value, "each number only once")
        return tuple(sorted(value))

    def typed(self, key: str, value: Any, kind: Any) -> Any:
        """The value as the type that is wanted; a whole number is a number too."""
        if not (type(value) is kind or (kind is float and type(value) is int)):
            names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
            raise self.wrong(key, value, names[kind])
        return float(value) if kind is float else value
