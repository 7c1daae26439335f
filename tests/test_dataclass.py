"""`dativo.dataclass` makes what the standard library would make of the same class."""

import copy
import dataclasses
import pickle
import typing
from functools import cached_property

import pytest

from dativo import dataclass as ours


def shapes(dataclass):
    """The same classes under either decorator."""

    @dataclass(frozen=True)
    class Point:
        """Two numbers."""

        x: int
        y: int = 2
        kind: typing.ClassVar[str] = "point"

        @cached_property
        def sum(self):
            """Both."""
            return self.x + self.y

    @dataclass(frozen=True)
    class Named(Point):
        """And more."""

        name: str = "n"
        notes: list[str] = dataclasses.field(default_factory=list, compare=False)
        secret: str = dataclasses.field(default="s", repr=False)

    @dataclass
    class Loose:
        """It can be changed."""

        first: int
        rest: dict[str, int] = dataclasses.field(default_factory=dict)

        def __post_init__(self):
            self.first += 1

    @dataclass(eq=False)
    class Single:
        """It is what it is."""

        first: int = 0

    @dataclass
    class Own:
        """It says some of it itself."""

        first: int = 0

        def __repr__(self):
            return "own"

        def __eq__(self, other):
            return True

        def __hash__(self):
            return 7

    return Point, Named, Loose, Single, Own


PAIRS = list(zip(shapes(dataclasses.dataclass), shapes(ours.dataclass), strict=True))
CALLS = [
    ((), {}),
    ((1,), {}),
    ((1, 3), {}),
    ((1,), {"y": 4}),
    ((), {"x": 5}),
    ((), {"first": 2}),
    ((1, 2, 3, 4, 5, 6), {}),
]
CALLS += [
    ((1, 2, 3, 4, 5, 6), {}),
    ((1,), {"x": 1}),
    ((1,), {"none": 1}),
    ((1,), {"name": "m", "notes": ["a"]}),
    ((2,), {"rest": {"a": 1}}),
]


def outcome(do):
    try:
        return do()
    except Exception as problem:
        return type(problem)


@pytest.mark.parametrize(("standard", "made"), PAIRS, ids=lambda cls: cls.__name__)
def test_a_class_is_as_the_standard_library_makes_it(standard, made):
    def seen(cls):
        for args, given in CALLS:
            one, same, other = (outcome(lambda: cls(*args, **given)) for _ in range(3))
            if isinstance(one, type):
                yield one
                continue
            yield from (repr(one), vars(one), dataclasses.asdict(one), one == same, one != same, one == (1, 2))
            yield outcome(lambda one=one, same=same: hash(one) == hash(same))
            yield vars(dataclasses.replace(one, **{next(iter(vars(one))): 9}))
            yield outcome(lambda other=other: setattr(other, "first", 5)), vars(other)
            yield outcome(lambda other=other: delattr(other, next(iter(vars(other))))), vars(other)
            yield vars(copy.copy(one)), copy.deepcopy(one) == one
        yield cls.__match_args__, [(one.name, one.default, one.repr) for one in dataclasses.fields(cls)]
        yield typing.get_type_hints(cls) != {}, dataclasses.is_dataclass(cls)

    def plain(values):
        return [str(value).replace("shapes.<locals>.", "") for value in values]

    assert plain(seen(made)) == plain(seen(standard))


def test_a_value_is_computed_once_and_what_is_frozen_stays():
    point = PAIRS[0][1](1)
    assert (point.sum, point.sum, vars(point)["sum"]) == (3, 3, 3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.x = 2


def test_what_refers_to_itself_is_shown():
    one = PAIRS[2][1](1)
    one.rest["self"] = one
    assert "..." in repr(one)


@ours.dataclass(frozen=True)
class Kept:
    """At the top of a module: pickle finds it."""

    value: int


def test_it_is_pickled():
    assert pickle.loads(pickle.dumps(Kept(3))) == Kept(3)
