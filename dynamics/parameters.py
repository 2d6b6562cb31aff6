"""One declaration per parameter: it validates, and it names options, sliders, sweep axes and labels.

A problem or an algorithm is a frozen pydantic model whose fields are made by :func:`parameter`. Everything that a
user may turn is such a field, so that :func:`declarations` tells every front end all there is to know about it.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails, PydanticUndefined

from dynamics.errors import ParameterError, shown

__all__ = [
    "Declaration",
    "Declared",
    "NotNegative",
    "NotNegativeVector",
    "PositiveVector",
    "Vector",
    "check_between",
    "check_whole",
    "declarations",
    "explain",
    "parameter",
]


class Declaration(NamedTuple):
    """What is known of one parameter.

    ``explore`` is the finite range worth exploring, ``scale`` its natural scale ("linear" or "log"), ``meaning`` one
    line of words, ``symbol`` LaTeX without dollars, ``default`` None where a value must be given.
    """

    name: str
    symbol: str
    meaning: str
    scale: Literal["linear", "log"]
    explore: tuple[float, float] | None
    default: Any


def parameter(
    default: Any = PydanticUndefined,
    *,
    symbol: str,
    meaning: str,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    scale: Literal["linear", "log"] = "linear",
    explore: tuple[float, float] | None = None,
) -> Any:
    """Declare a parameter: bounds, meaning, symbol and scale, once for all uses."""
    extra: dict[str, Any] = {"symbol": symbol, "scale": scale, "explore": explore}
    return Field(default, description=meaning, gt=above, ge=at_least, le=at_most, json_schema_extra=extra)


def declarations(model: type[Declared] | Declared) -> dict[str, Declaration]:
    """Return the declarations of a problem or algorithm class, by parameter name."""
    cls = model if isinstance(model, type) else type(model)
    found = {}
    for name, field in cls.model_fields.items():
        extra = field.json_schema_extra
        if not isinstance(extra, dict):
            raise TypeError(f"{cls.__name__}.{name} is not declared with parameter()")
        default = None if field.default is PydanticUndefined else field.default
        meaning = field.description or ""
        found[name] = Declaration(name, extra["symbol"], meaning, extra["scale"], extra["explore"], default)  # type: ignore[arg-type]
    return found


def _read(value: Any, depth: int = 2) -> Any:
    """Turn command-line text and numpy values into plain numbers, lists and lists of lists; refuse truth values."""
    value = _read_one(value)
    if not isinstance(value, (list, tuple)):
        return value
    if value and all(isinstance(item, str) for item in value):  # the command line's words
        return _read(",".join(value))
    return [_read(item, depth - 1) if depth > 1 else _read_one(item) for item in value]


def _read_one(value: Any) -> Any:
    if isinstance(value, np.inexact):  # by hand, for long doubles stay what they are in tolist
        return complex(value) if np.iscomplexobj(value) else float(value)
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    elif hasattr(value, "__array__"):  # labelled arrays
        value = np.asarray(value).tolist()
    if isinstance(value, str):
        value = _parse(value)
    if isinstance(value, bool):
        raise ValueError("must be a number, not a truth value")  # noqa: TRY004 - a TypeError would escape pydantic
    return value


def _parse(text: str) -> Any:
    """Read ``3``, ``1e-3``, ``1,.5``, ``null`` and what else is JSON; leave other text as it is."""
    for read in (int, float, json.loads, lambda numbers: [float(number) for number in numbers.split(",")]):
        try:
            return read(text)
        except (ValueError, RecursionError):  # RecursionError: brackets in brackets without end
            continue
    return text


def _as_list(value: Any) -> Any:
    """Make one number a vector of one; refuse what is no list, and the empty list."""
    if isinstance(value, (int, float)):
        return [value]
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError("must be a list of numbers")
    return value


#: Squares of these, and products of a few, stay within the range of floats.
_Positive = Annotated[float, Field(ge=1e-50, le=1e50)]
NotNegative = Annotated[float, Field(ge=0.0, le=1e50)]

#: One or more numbers (lists, tuples, arrays and text are read), kept as a tuple.
Vector = Annotated[Sequence[float], BeforeValidator(_as_list), AfterValidator(tuple)]
#: The same with numbers from 1e-50 to 1e50.
PositiveVector = Annotated[Sequence[_Positive], BeforeValidator(_as_list), AfterValidator(tuple)]
#: The same with numbers from 0 to 1e50.
NotNegativeVector = Annotated[Sequence[NotNegative], BeforeValidator(_as_list), AfterValidator(tuple)]


class Declared(BaseModel):
    """Base of all problems and algorithms: frozen, keyword-only, unknown parameters and non-finite numbers refused.

    Raises
    ------
    ParameterError
        Naming every parameter that is not allowed, its meaning, what is allowed and what came.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=False)

    #: How the class is called in files and on the command line.
    label: ClassVar[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Name the class as on the command line: TwoScale is two-scale, SGDMomentum sgd-momentum."""
        super().__init_subclass__(**kwargs)
        cls.label = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", cls.__name__).lower()

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ParameterError(explain(type(self), error)) from None

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with some parameters changed, checked like a new object (pydantic's own copy is not)."""
        return type(self)(**{**dict(self), **(update or {})})

    def refused(self, name: str, must: str, came: object, hint: str = "") -> ParameterError:
        """Return the error of a check that needs more than one parameter, for the caller to raise."""
        return ParameterError(_refusal(type(self), name, must, came) + hint)

    @field_validator("*", mode="before")
    @classmethod
    def _read_text(cls, value: Any) -> Any:
        return _read(value)

    def to_json(self) -> str:
        """Write class and parameters as JSON text; :func:`dynamics.results.rebuild` makes an equal object of it."""
        home = ".".join(part for part in type(self).__module__.split(".") if not part.startswith("_"))
        return json.dumps({"class": f"{home}:{type(self).__name__}", **self.model_dump(mode="json")})


#: pydantic's bounds and words, and ours.
_BOUNDS = {"gt": "above", "ge": "at least", "le": "at most"}
_WORDS = (
    ("^a valid (number|string).*", "a number"),
    ("^a valid integer.*", "a whole number"),
)


def explain(cls: type[BaseModel], error: ValidationError) -> str:
    """Turn pydantic's report into one line that names parameter, meaning, what is allowed and what came.

    A parameter that may be of several types is reported once for each of them: the first line about it is kept.
    """
    lines: dict[str, str] = {}
    for number, detail in enumerate(error.errors(include_url=False)):
        place = ".".join(str(part) for part in detail["loc"] if isinstance(part, int))
        lines.setdefault(f"{detail['loc'][0]}.{place}" if detail["loc"] else str(number), _explain_one(cls, detail))
    return "; ".join(lines.values())


def _refusal(cls: type[BaseModel], name: str, must: str, came: object) -> str:
    return f"{_named(cls, name)} {must}; got {shown(came)}"


def _named(cls: type[BaseModel], name: str) -> str:
    """Return the parameter's name with its meaning."""
    return f"{name} ({cls.model_fields[name].description})"


def _explain_one(cls: type[BaseModel], detail: ErrorDetails) -> str:
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    for theirs, ours in _WORDS:
        message = re.sub(theirs, ours, message)
    for theirs, ours in _BOUNDS.items():
        if theirs in detail.get("ctx", {}):
            bound = detail["ctx"][theirs]
            message = f"{ours} {bound:.16g}" if isinstance(bound, int) else f"{ours} {bound:g}"  # not 1e50 in full
    where = [str(part) for part in detail["loc"]]
    if not where:  # a check of several parameters together, or an error that is explained already
        return message
    name = where[0]
    if detail["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, cls.model_fields, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        have = ", ".join(cls.model_fields)
        return f"{name} is not a parameter of {cls.__name__}; its parameters are {have}{hint}"
    if detail["type"] == "missing":
        return f"{_named(cls, name)} must be given"
    if "; got " in message:  # explained already, further in
        return f"{_named(cls, name)}: {message}"
    must = message if message.startswith("must") else f"must be {message}"
    index = f" at index {where[1]}" if len(where) > 1 and where[1].isdigit() else ""
    return _refusal(cls, name, must, detail["input"]) + index


def check_whole(name: str, value: Any, *, at_least: int) -> int:
    """Check a count given to a function (``1e9`` will do, ``True`` and 3.5 will not) and return it as an int."""
    if not _is_number(value) or not at_least <= value < 2**63 or int(value) != value:
        raise ParameterError(f"{name} must be a whole number, at least {at_least}; got {shown(value)}")
    return int(value)


def check_between(name: str, meaning: str, value: Any, low: float, high: float) -> float:
    """Check a number given to a function, from ``low`` to ``high``, and return it as a float."""
    if not _is_number(value) or not low <= value <= high:
        raise ParameterError(f"{name} ({meaning}) must be a number in [{low:g}, {high:g}]; got {shown(value)}")
    return float(value)


def _is_number(value: Any) -> bool:
    # a timedelta is an np.integer, and a truth value an int
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, (bool, np.timedelta64))
