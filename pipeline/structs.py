"""The contract a second time, for speed: msgspec structs derived from the pydantic models.

The models in ``schemas`` stay the only definition of what is valid. At import this module makes of
each a struct that msgspec fills several times as fast as pydantic validates. It may decline what
the model accepts, for pydantic then decides; it may never accept what the model rejects, nor give
another value (but in ``details``, integers beyond 64 bits: the double that orjson reads, which is
what is stored either way). What the derivation does not understand is an error at import.
docs/decisions/0007-decode-fast-path.md has the reasons.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

import msgspec
from pydantic import AwareDatetime, BaseModel
from pydantic.fields import FieldInfo

from pipeline.limits import Kind, kind_of, text_test
from schemas.interaction import MODELS, OtherInteraction

_BACKSLASH, _DEL = 0x5C, 0x7F
_CONFIG = {"strict": True, "extra": "allow", "frozen": True, "hide_input_in_errors": True}

#: Whether a value, as orjson parses it, is certain to be valid and what msgspec makes of it.
_Check = Callable[[Any], object]
#: The same of a value that msgspec made; with the struct that it is in.
_Late = Callable[[Any, Any], bool]


class _Derived(NamedTuple):
    """A struct, and what msgspec cannot check, by field."""

    struct: Any
    checks: list[tuple[str, _Check]]
    late: list[tuple[str, _Late]]


def fast(value: bytes, event: Mapping[str, Any]) -> Any:
    """Return the valid interaction with the attributes of its model, or None: ask pydantic.

    Args:
        value: The record, which is strict JSON and has no key twice in an object.
        event: The same as orjson parses it.
    """
    # a control character in a JSON string is escaped, except DEL: none of these, none of those
    if _BACKSLASH in value or _DEL in value:
        return None
    channel = event.get("channel")
    derived = _TYPED.get(channel, _OTHER) if isinstance(channel, str) else _OTHER
    try:
        found = _convert(event, derived.struct)
    except msgspec.ValidationError:
        return None
    for name, check in derived.checks:
        said = event.get(name)
        if said is not None and not check(said):
            return None
    for name, late in derived.late:
        if name in event:
            made = getattr(found, name)
            if made is not None and not late(made, found):
                return None
    return found


def derive(model: type[BaseModel]) -> _Derived:
    """Make a model's struct.

    Raises:
        TypeError: There is something in the model that this module does not know.
    """
    decorators = model.__pydantic_decorators__
    if model.model_config != _CONFIG or model.__pydantic_post_init__:
        raise TypeError(f"the configuration of {model.__name__} is not understood")
    if decorators.validators or decorators.field_validators or decorators.root_validators:
        raise TypeError(f"a field validator of {model.__name__} is not understood")
    derived = _Derived(None, [], [])
    fields: list[tuple[str, Any, Any]] = []
    for name, field in model.model_fields.items():
        if field.alias or field.validation_alias or field.validate_default or field.discriminator:
            raise TypeError(f"an option of {model.__name__}.{name} is not understood")
        kind = kind_of(field.annotation, field.metadata)
        if validate := kind.limits.pop("after", None):
            derived.late.append((name, _after_field(validate, [other[0] for other in fields])))
        taken, check, late = _field(kind)
        if check:
            derived.checks.append((name, check))
        if late:
            derived.late.append((name, late))
        made = taken | None if kind.optional else taken
        fields.append((name, made, _default(field, taken)))
    after = [_after_model(entry) for entry in decorators.model_validators.values()]
    struct = msgspec.defstruct(
        model.__name__,
        fields,
        namespace={"__post_init__": _post_init(after)} if after else None,
        frozen=True,
        kw_only=True,
        gc=False,  # JSON has no cycles
    )
    return derived._replace(struct=struct)


def _field(kind: Kind) -> tuple[Any, _Check | None, _Late | None]:
    """Return what msgspec takes a field as, and what to check beside."""
    base, limits = kind.base, dict(kind.limits)
    check, late, taken = None, None, base
    known: tuple[str, ...] = ("ge", "gt", "le", "lt", "min_length", "max_length")
    if base is AwareDatetime:
        check, taken, known = _instant(limits.pop("ge"), limits.pop("lt")), _AWARE, ()
    elif base is Decimal:
        late, known = _decimal(limits.pop("max_digits"), limits.pop("decimal_places")), ()
    elif base is str:
        check = text_test(limits)
    elif base is int or base is float:
        limits.pop("allow_inf_nan", None)  # strict JSON has neither
    elif get_origin(base) is dict:
        taken, check = _dict(*(kind_of(item) for item in get_args(base)))
    elif isinstance(base, type) and issubclass(base, BaseModel):
        taken, checks, lates = derive(base)
        if checks or lates:
            raise TypeError(f"{base.__name__} is inside of a model and needs more than msgspec")
        known = ()
    elif base is Any or base is bool or get_origin(base) is Literal:
        known = ()
    else:
        raise TypeError(f"{base!r} is not understood")
    if unknown := limits.keys() - set(known):
        raise TypeError(f"{', '.join(sorted(unknown))} of {base!r} is not understood")
    return (Annotated[taken, msgspec.Meta(**limits)] if limits else taken), check, late


def _dict(keys: Kind, values: Kind) -> tuple[Any, _Check | None]:
    (key, key_check, late), (value, value_check, later) = _field(keys), _field(values)
    if late or later or keys.optional or values.optional:
        raise TypeError("a dict of what may be null or needs checks by pydantic is not understood")

    def check(items: dict[str, Any]) -> bool:
        for name, item in items.items():
            if (key_check and not key_check(name)) or (value_check and not value_check(item)):
                return False
        return True

    return dict[key, value], check if key_check or value_check else None  # type: ignore[valid-type]


_AWARE = Annotated[datetime, msgspec.Meta(tz=True)]


def _instant(earliest: datetime, end: datetime) -> _Check:
    # msgspec takes YYYY-MM-DDTHH:MM:SS.ffffff with any number of f, and rounds where pydantic cuts
    # off: no seventh. Whatever the zone, years between those of the bounds are between the bounds.
    after, before = str(earliest.year + 1), str(end.year - 1)
    return lambda text: after <= text < before and (len(text) < 27 or not text[26].isdigit())


def _decimal(max_digits: int, places: int) -> _Late:
    def check(number: Decimal, _: Any) -> bool:
        _sign, digits, exponent = number.as_tuple()
        return (
            isinstance(exponent, int)
            and -places <= exponent <= 0
            and len(digits) + exponent <= max_digits - places
        )

    return check


def _after_field(validate: Callable[..., Any], earlier: Sequence[str]) -> _Late:
    wants_info = len(inspect.signature(validate).parameters) == 2

    def check(made: Any, found: Any) -> bool:
        info = [SimpleNamespace(data={name: getattr(found, name) for name in earlier})]
        try:
            return validate(made, *info[:wants_info]) is made
        except ValueError:
            return False

    return check


def _after_model(entry: Any) -> Callable[[Any], Any]:
    if entry.info.mode != "after" or len(inspect.signature(entry.func).parameters) != 1:
        raise TypeError(f"the validator {entry.cls_var_name} is not understood")
    return entry.func  # type: ignore[no-any-return]


def _post_init(after: Sequence[Callable[[Any], Any]]) -> Callable[[Any], None]:
    def post_init(self: Any) -> None:
        for validate in after:
            if validate(self) is not self:
                raise ValueError("a validator that gives another model is not understood")

    return post_init  # msgspec makes its ValidationError of a ValueError in there


def _default(field: FieldInfo, taken: Any) -> Any:
    if field.is_required():
        return msgspec.NODEFAULT
    if field.default_factory is dict:
        return msgspec.field(default_factory=dict)
    if field.default_factory is not None and field.default_factory is field.annotation:
        return msgspec.field(default_factory=taken)
    if field.default_factory is None and field.default is None:
        return None
    raise TypeError(f"the default of {field!r} is not understood")


_convert = msgspec.convert
_TYPED = {channel: derive(model) for channel, model in MODELS.items()}
_OTHER = derive(OtherInteraction)
