"""The fast path declines, or says exactly what the models say."""

import json
from datetime import datetime, timezone
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import msgspec
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from pipeline import catalog
from pipeline import decode as decoding
from pipeline.classify import NOTHING, Classifier
from pipeline.decode import Decoded, decode
from pipeline.errors import RejectedRecord
from pipeline.moments.rules import Rules
from pipeline.rows import COLUMNS, FUTURE, row
from pipeline.simulator import Plan, simulate
from pipeline.structs import derive, fast
from schemas.interaction import INTERACTION, MODELS, RATING_SCALES, Envelope
from tests.unit.events import event, events

CHANNELS = frozenset({"mail"})
CATALOG = catalog.load()
CLASSIFIER, MATCHER = Classifier(CATALOG.catalog), Rules(CATALOG).matcher
AT = datetime(2026, 10, 1, tzinfo=timezone.utc)
PLACE = ("interactions.web", UUID(int=1), 0, 1, AT)
DETAILS: dict[str, dict[str, Any]] = {
    "web": {
        "page_url": "https://shop.example/a?b=c",
        "page_type": "product",
        "http_status": 404,
        "duration_seconds": 1.5,
        "product_id": "P-1",
    },
    "email": {"message_id": "m-1", "bounce_type": "hard", "machine_open": True, "link_url": ""},
    "phone": {"call_id": "c-1", "queue_seconds": 30, "transfers": 0, "outcome": "resolved"},
    "store": {"store_id": "s-1", "visit_reason": "buy", "wait_seconds": 0.25},
    "mail": {"anything": [1, {"x": None}]},
}

# --- what goes in -----------------------------------------------------------------------------

digits = st.sampled_from(["", ".1", ".123456", ".1234567", ".999999999", ".9999995", ".", ",5"])
times = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["2026", "1969", "1970", "1971", "2098", "2099", "2100", "0001", "9999"]),
        st.sampled_from(["-10-01", "-12-31", "-01-01", "-02-30", "-2-03", "1001"]),
        st.sampled_from(["T", "t", " ", "_", ""]),
        st.sampled_from(["12:34:56", "23:59:59", "00:00:00", "23:59:60", "24:00:00", "12:34"]),
        digits,
        st.sampled_from(
            ["Z", "z", "", "+02:00", "-02:00", "+0200", "+23:59", "-23:59", "+24:00", "-00:00"]
        ),
        st.sampled_from(["", "", "", "\n", " "]),
    ),
)
numbers = (
    st.integers(-(2**70), 2**70)
    | st.integers(-2, 700)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(-2, 12)
    | st.sampled_from([1e2, 0.1, 1e-7, 31_536_000, 31_536_000.5, 1_000_001, -0.0, 10**18, 10**25])
)
decimals = (
    st.decimals(-(10**20), 10**20, places=4).map(str)
    | st.decimals(allow_nan=True, allow_infinity=True).map(str)
    | st.sampled_from(["1.50000", "0.00001", " 1", "1_0", "1e3", "1E-4", "+1", ".5", "5.", "٣", ""])
)
texts = st.text(max_size=5) | st.sampled_from(
    [
        "",
        " ",
        "\u00a0",
        "\x1c",
        "\x7f",
        "a\x7f",
        "a\n",
        "\n",
        "a\x00",
        "a\u0085",
        "\u2028",
        "\ufeff",
    ]
    + ["a" * 64, "a" * 65, "a" * 128, "a" * 129, "é" * 256, "é" * 257, "😀" * 256, "😀" * 257]
    + ["x" * 2048, "😀" * 2049, " " * 256, " a ", 'a":"b', "a\\b", "1.0\n", "1.0", "1.1234", "1.٣"]
    + ["EUR", "eur", "EUR\n", "en", "en\n", "nl-BE", "e", "order_id", "Order", "a-b", "1a", "é1"]
    + ["web", "mail", "inbound", "INBOUND", "nps", "hard", "resolved", "2026-10-01", "1790000000"]
)
odd = st.one_of(
    st.none(),
    st.booleans(),
    numbers,
    texts,
    times,
    decimals,
    st.lists(texts, max_size=2),
    st.dictionaries(texts, texts | numbers | st.none(), max_size=3),
    st.dictionaries(st.from_regex(r"[a-z]{1,3}", fullmatch=True), texts, max_size=18),
    st.sampled_from([{f"k{number}": "v" for number in range(count)} for count in (16, 17)]),
)
ratings = st.sampled_from(sorted(RATING_SCALES)).flatmap(
    lambda scale: st.fixed_dictionaries(
        {"scale": st.just(scale), "score": st.integers(*map(int, RATING_SCALES[scale]))},
        optional={"comment": texts},
    )
)
whole = st.tuples(
    events,
    st.fixed_dictionaries({}, optional={"rating": ratings, "sentiment": st.floats(-1, 1)}),
    st.just({})
    | st.fixed_dictionaries(
        {
            "currency": st.sampled_from(["EUR", "XXX"]),
            "amount": st.decimals(-(10**13), 10**13, places=2).map(str)
            | st.integers(-(10**13), 10**13)
            | st.floats(-1e9, 1e9).map(lambda number: round(number, 2)),
        }
    ),
).map(
    lambda parts: {
        **parts[0],
        **parts[1],
        **parts[2],
        "details": {**DETAILS[parts[0]["channel"]], **parts[0].get("details", {})},
    }
)
NAMES = sorted({name for model in MODELS.values() for name in model.model_fields} | {"x_unknown"})


@st.composite
def changed(draw):
    """Return an interaction with one to three fields changed, added or removed, at any depth."""
    made = draw(whole)
    for _ in range(draw(st.integers(1, 3))):
        inside = draw(st.sampled_from(["", "", "", "rating", "details", "identifiers", "case_ids"]))
        target = made.get(inside) if inside else made
        if not isinstance(target, dict):
            made[inside] = target = {}
        known = {
            "": NAMES,
            "rating": ["scale", "score"],
            "details": sorted(MODELS["web"].model_fields["details"].annotation.model_fields),
        }.get(inside, ["customer_id"])
        if inside == "details" and (model := MODELS.get(str(made.get("channel")))):
            known = sorted(model.model_fields["details"].annotation.model_fields)
        name = draw(st.sampled_from(known) | texts)
        if draw(st.booleans()) and name in target:
            del target[name]
        target[name] = draw(odd)
        if draw(st.integers(0, 9)) == 0:
            del target[name]
    return made


@st.composite
def written(draw, made):
    """Return an interaction as JSON, as one writer or another would write it."""
    found = draw(made)
    if draw(st.booleans()):
        return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()
    return json.dumps(found, ensure_ascii=draw(st.booleans())).encode()


# --- what comes out ---------------------------------------------------------------------------


def same(made: Any, wanted: Any) -> bool:
    if isinstance(wanted, BaseModel):
        return isinstance(made, msgspec.Struct) and all(
            same(getattr(made, name), getattr(wanted, name)) for name in type(wanted).model_fields
        )
    if isinstance(wanted, datetime):
        return made == wanted and made.utcoffset() == wanted.utcoffset()
    if isinstance(wanted, Decimal):
        return type(made) is Decimal and made == wanted  # 5.0 in JSON: Decimal 5 or 5.0
    wanted = as_stored(wanted)
    return type(made) is type(wanted) and repr(made) == repr(wanted)


def as_stored(value: Any) -> Any:
    """Details as both ways store them: orjson reads integers beyond 64 bits as doubles."""
    if isinstance(value, dict):
        return {key: as_stored(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_stored(item) for item in value]
    beyond = type(value) is int and not -(1 << 63) <= value < 1 << 64
    return float(value) if beyond else value


def row_of(interaction: Any, parsed: dict[str, Any]) -> Any:
    keys = {"customer_id": "0" * 32}
    at = interaction.occurred_at
    return row(PLACE, AT, Decoded(interaction, parsed), keys, NOTHING, "v1", at, FUTURE)


def sighting_of(interaction: Any, parsed: dict[str, Any]) -> Any:
    return MATCHER.sighting(parsed, interaction, "0" * 32, CLASSIFIER.classify(parsed))


def extra_of(model: Envelope, parsed: dict[str, Any]) -> str:
    unknown: dict[str, Any] = {name: parsed[name] for name in model.__pydantic_extra__ or {}}
    if model.rating is not None and model.rating.__pydantic_extra__:
        names = model.rating.__pydantic_extra__
        unknown["rating"] = {name: parsed["rating"][name] for name in names}
    return orjson.dumps(unknown).decode() if unknown else ""


def compare(value: bytes) -> bool:
    """Hold the fast path against the models; return whether it did not decline."""
    try:
        parsed = decoding._strict_json(value, 262_144)
    except RejectedRecord:
        return False
    made = fast(value, parsed)
    try:
        model = INTERACTION.validate_json(value)
    except ValidationError:
        assert made is None, "accepted what the contract rejects"
        return False
    by_model = row_of(model, parsed)
    assert by_model[COLUMNS.index("extra")] == extra_of(model, parsed)
    if made is None:
        return False
    assert same(made, model)

    for one, other in zip(row_of(made, parsed), by_model, strict=True):
        assert same(one, other)
    assert sighting_of(made, parsed) == sighting_of(model, parsed)
    return True


def outcome(value: bytes) -> tuple[Any, ...]:
    try:
        decoded = decode(value, CHANNELS, 262_144)
    except RejectedRecord as error:
        return error.reason, error.field, error.error
    return row_of(decoded.interaction, decoded.event), decoded.event


@settings(max_examples=300)
@given(written(whole))
def test_valid_interactions_have_the_models_values(value):
    compare(value)


@settings(max_examples=1500)
@given(written(changed()))
def test_whatever_is_changed_the_fast_path_declines_or_agrees(value):
    compare(value)


@settings(max_examples=400)
@given(times, st.sampled_from(["occurred_at", "sent_at", "promise_due_at"]))
def test_times_are_the_models_or_left_to_them(text, field):
    compare(orjson.dumps(event(**{field: text})))


@settings(max_examples=300)
@given(decimals | numbers)
def test_amounts_are_the_models_or_left_to_them(amount):
    compare(json.dumps(event(amount=amount, currency="EUR")).encode())
    assert fast(b"", orjson.loads(json.dumps(event(amount=amount)))) is None


@settings(max_examples=300)
@given(written(whole | changed()))
def test_decode_gives_the_same_with_and_without_it(value):
    quick = outcome(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "fast", lambda value, event: None)
        assert quick == outcome(value)


@pytest.mark.parametrize(
    ("changes", "taken"),
    [
        ({}, True),
        ({"occurred_at": "2026-10-01T12:34:56.123456+02:00"}, True),
        ({"occurred_at": "2026-10-01T12:34:56.1234567Z"}, False),
        ({"occurred_at": "1970-06-01T00:00:00Z"}, False),
        ({"amount": "12.50", "currency": "EUR"}, True),
        ({"rating": {"scale": "csat", "score": 5, "comment": "good"}}, True),
        ({"rating": {"scale": "csat", "score": 5.5}}, False),
        ({"action": "a\nb"}, False),
        ({"action": "a\x7fb"}, False),
        ({"identifiers": {"customer_id": "   "}}, False),
        ({"language": "en\n"}, False),
        ({"x_unknown": {"y": 1}}, True),
        ({"channel": "mail", "details": {"x": [1]}}, True),
    ],
)
def test_it_takes_the_ordinary_and_leaves_the_odd(changes, taken):
    assert compare(orjson.dumps(event(**changes))) is taken


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, 2**64, 10**25, -(2**63), -(2**63) - 1])
def test_great_numbers_in_details_are_stored_as_the_models_are(number):
    value = json.dumps(event(channel="mail", details={"x": [number]})).encode()
    assert compare(value)
    assert same(fast(value, orjson.loads(value)).details["x"], [number])
    with pytest.MonkeyPatch.context() as patch:
        quick = outcome(value)
        patch.setattr(decoding, "fast", lambda value, event: None)
        assert quick == outcome(value)


def test_details_that_are_absent_are_the_models_default():
    assert compare(orjson.dumps(event(details=None)))


def test_every_ordinary_interaction_takes_it():
    plan = Plan(customers=150, days=45, seed=7, malformed=0)
    values = [line.value for line in simulate(plan) if line.truth.valid]
    assert len(values) > 1000
    assert all(compare(value) for value in values)


# --- what the derivation refuses --------------------------------------------------------------


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", frozen=True, hide_input_in_errors=True)


class Lax(BaseModel):
    name: str


class Validated(Strict):
    name: str

    @field_validator("name")
    @classmethod
    def _check(cls, name: str) -> str:
        return name


class Wrapped(Strict):
    name: str

    @model_validator(mode="before")
    @classmethod
    def _check(cls, data: Any) -> Any:
        return data


def model(annotation: Any, default: Any = ...) -> type[BaseModel]:
    return type("Made", (Strict,), {"__annotations__": {"field": annotation}, "field": default})


@pytest.mark.parametrize(
    "refused",
    [
        Lax,
        Validated,
        Wrapped,
        model(int | str),
        model(list[str]),
        model(datetime),
        model(Annotated[int, Field(multiple_of=2)]),
        model(Annotated[str, StringConstraints(strip_whitespace=True)]),
        model(Annotated[str, StringConstraints(pattern=r"^\w+$")]),
        model(Annotated[str, StringConstraints(pattern=r"[a-z]")]),
        model(Annotated[str, StringConstraints(pattern=r"^[a-z&&[^b]]$")]),
        model(Annotated[str, BeforeValidator(str.strip)]),
        model(Annotated[dict[str, Decimal], Field(max_length=3)]),
        model(str, Field("x")),
        model(str, Field(alias="other")),
        model(Annotated[str | None, Field(max_length=3)], Field(None)),
    ],
)
def test_what_the_derivation_does_not_understand_is_an_error(refused):
    with pytest.raises((TypeError, KeyError)):
        derive(refused)
