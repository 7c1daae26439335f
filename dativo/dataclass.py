"""`dataclass` as the standard library has it, made without compiling source for each class.

Before Python 3.13 the standard one writes and compiles the text of up to seven methods, 0.4 ms a class; the 130 classes
of a run were a quarter of its start (docs/adr/2026-11-27-dataclasses-are-not-compiled.md). Here they are closures over
the fields. `fields`, `replace`, `asdict` and a type checker see a dataclass as ever. What Dativo does not use (`slots`,
`order`, `kw_only`, `InitVar`, `field(init=False)`) is not taken.

Imports nothing of Dativo; anyone may import it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

Method = Callable[..., Any]


def _dataclass(cls: type | None = None, /, *, frozen: bool = False, eq: bool = True) -> Any:
    return partial(_make, frozen=frozen, eq=eq) if cls is None else _make(cls, frozen, eq)


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414
else:
    dataclass = _dataclass


def _make(cls: type, frozen: bool, eq: bool) -> type:
    written = set(vars(cls))  # what the class says itself stays
    hashed = vars(cls).get("__hash__") is not None
    cls = dataclasses.dataclass(init=False, repr=False, eq=False)(cls)
    fields = dataclasses.fields(cls)
    methods: dict[str, Method | None] = {
        "__init__": _init(cls, fields),
        "__repr__": _repr([one.name for one in fields if one.repr]),
    }
    if frozen:
        methods |= {"__setattr__": _refusal("assign to"), "__delattr__": _refusal("delete")}
    if eq:
        compared = [one.name for one in fields if one.compare]
        methods["__eq__"] = _eq(compared)
        if not hashed:
            written.discard("__hash__")
            methods["__hash__"] = _hash(compared) if frozen else None
    for name, method in methods.items():
        if name not in written:
            setattr(cls, name, method)
    return cls


def _init(cls: type, fields: Sequence[dataclasses.Field[Any]]) -> Method:
    missing = dataclasses.MISSING
    known = [(one.name, one.default, one.default_factory) for one in fields]
    names = [one.name for one in fields]
    after = hasattr(cls, "__post_init__")

    def __init__(self: Any, *args: Any, **given: Any) -> None:
        if len(args) > len(names):
            raise TypeError(f"{cls.__name__} takes {len(names)} arguments, {len(args)} were given")
        values = vars(self)
        values.update(zip(names, args, strict=False))
        for name, default, factory in known[len(args) :]:
            if name in given:
                values[name] = given.pop(name)
            elif default is not missing:
                values[name] = default
            elif factory is not missing:
                values[name] = factory()
            else:
                raise TypeError(f"{cls.__name__} lacks the argument {name!r}")
        if given:
            raise TypeError(f"{cls.__name__} does not take {', '.join(given)}, or not twice")
        if after:
            self.__post_init__()

    return __init__


def _repr(names: Sequence[str]) -> Method:
    @recursive_repr()
    def __repr__(self: Any) -> str:
        told = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({told})"

    return __repr__


def _eq(names: Sequence[str]) -> Method:
    def __eq__(self: Any, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in names)

    return __eq__


def _hash(names: Sequence[str]) -> Method:
    def __hash__(self: Any) -> int:
        return hash(tuple(getattr(self, name) for name in names))

    return __hash__


def _refusal(what: str) -> Method:
    def refuse(_: Any, name: str, *_value: Any) -> None:
        raise dataclasses.FrozenInstanceError(f"cannot {what} field {name!r}")

    return refuse
