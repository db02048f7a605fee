import json
import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.decode import MAX_DEPTH, decode
from pipeline.errors import RejectedRecord
from schemas.interaction import INTERACTION, Envelope
from tests.unit.events import event, events

CHANNELS = frozenset({"mail"})


def refused(value, channels=CHANNELS):
    with pytest.raises(RejectedRecord) as caught:
        decode(value, channels, 4096)
    return caught.value


def dump(**changes):
    return orjson.dumps(event(**changes))


POISON = [
    (None, "empty"),
    (b"", "empty"),
    (b"\xef\xbb\xbf" + dump(), "invalid_json"),
    (b'{"event_id": "\xff"}', "invalid_json"),
    (dump()[:-1], "invalid_json"),
    (b"not json", "invalid_json"),
    (dump(details={"x": 1}).replace(b'"x":1', b'"x":NaN'), "invalid_json"),
    (dump(details={"x": 1}).replace(b'"x":1', b'"x":-Infinity'), "invalid_json"),
    (dump(details={"x": 1}).replace(b'"x":1', b'"x":1e999'), "invalid_json"),
    (dump(details={"x": 1}).replace(b'"x":1', b'"x":' + b"9" * 1200), "invalid_json"),
    (dump(event_id="AAAA").replace(b"AAAA", b"\\ud800"), "invalid_json"),
    (b"[]", "not_an_object"),
    (b'"text"', "not_an_object"),
    (b"null", "not_an_object"),
    (b"[" * 2000 + b"]" * 2000, "too_deep"),
    (dump(details={"x": 1}).replace(b'"x":1', b'"x":' + b"[" * 40 + b"]" * 40), "too_deep"),
    (dump().replace(b'"event_id":"e-1"', b'"event_id":"a","event_id":"b"'), "duplicate_key"),
    (dump(details={"x": 1}).replace(b'"x":1', b'"x":1, "x":2'), "duplicate_key"),
    (dump(x="y" * 5000), "too_large"),
    (dump(schema_version="2.0"), "unsupported_version"),
    (dump(channel="pigeon"), "unknown_channel"),
    (dump(event_id=None), "missing_field"),
    (dump(schema_version=None), "missing_field"),
    (dump(occurred_at="0000-01-01T00:00:00Z"), "invalid_field"),
    (dump(occurred_at="9999-12-31T23:59:59Z"), "invalid_field"),
    (dump(occurred_at="2026-10-01T12:00:00"), "invalid_field"),
    (dump(occurred_at="2026-02-30T12:00:00Z"), "invalid_field"),
    (dump(occurred_at=1_790_000_000), "invalid_field"),
    (dump(event_id="a\x00b"), "invalid_field"),
    (dump(event_id=""), "invalid_field"),
    (dump(event_id=7), "invalid_field"),
    (dump(channel=7), "invalid_field"),
    (dump(identifiers={}), "invalid_field"),
    (dump(identifiers={"device": 1}), "invalid_field"),
    (dump(case_ids={"Not A Name": "x"}), "invalid_field"),
    (dump(amount=1.5), "invalid_field"),
    (dump(rating={"scale": "nps", "score": 11}), "invalid_field"),
    (dump(sentiment="good"), "invalid_field"),
    (dump(details={"http_status": "200"}), "invalid_field"),
    (dump(details=[]), "invalid_field"),
]


@pytest.mark.parametrize(("value", "reason"), POISON)
def test_poison_is_refused_with_its_reason(value, reason):
    assert refused(value).reason == reason


def test_the_error_names_the_field_and_never_shows_the_value():
    error = refused(dump(identifiers={"email": "ada@example.com"}, occurred_at="secret-text"))
    assert error.field == "occurred_at"
    assert "secret-text" not in str(error)
    assert "ada@example.com" not in str(error)


def test_spaces_and_escapes_do_not_hide_or_fake_duplicate_keys():
    assert decode(json.dumps(event(), indent=2).encode(), CHANNELS, 4096).event == event()
    value = json.dumps(event(details={"a": '"b": "b":', "é": 1}), ensure_ascii=True).encode()
    assert decode(value, CHANNELS, 4096).event["details"]["é"] == 1
    assert refused(b'{"a" : 1, "\\u0061": 2}').reason == "duplicate_key"


@given(
    st.lists(st.sampled_from(["a", "b", "c", 'd":', "e\\"]), max_size=3),
    st.lists(st.sampled_from(["a", "b", 'd":']), max_size=3),
    st.sampled_from([(",", ":"), (", ", ": "), (",", " :"), (",", "\t:"), (",\n", "\n:\n")]),
)
def test_a_key_twice_is_found_however_it_is_written(names, inner, separators):
    comma, colon = separators
    deep = comma.join(f"{json.dumps(name)}{colon}1" for name in inner)
    members = [f"{json.dumps(name)}{colon}{{{deep}}}" for name in names]
    value = ("{" + comma.join(members) + "}").encode()
    twice = len(set(names)) < len(names) or (names and len(set(inner)) < len(inner))
    assert (refused(value).reason == "duplicate_key") == bool(twice)


def test_depth_is_counted_not_guessed():
    wide = dump(details={"x": [{} for _ in range(100)]})
    assert len(decode(wide, CHANNELS, 4096).event["details"]["x"]) == 100
    inner = MAX_DEPTH - 2
    deepest = dump(details={"x": 1}).replace(b'"x":1', b'"x":' + b"[" * inner + b"]" * inner)
    assert decode(deepest, CHANNELS, 4096)
    assert refused(deepest.replace(b"[]", b"[[]]")).reason == "too_deep"


@given(events)
def test_what_the_contract_accepts_is_accepted_and_kept_whole(made):
    value = orjson.dumps(made)
    decoded = decode(value, CHANNELS, 262_144)
    model = INTERACTION.validate_json(value)
    for name in Envelope.model_fields:
        if name != "rating":
            assert getattr(decoded.interaction, name) == getattr(model, name)
    assert decoded.event == made


broken = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=3), st.lists(st.none(), max_size=1)
)


@given(events, st.data())
def test_decode_and_the_contract_agree_on_any_change(made, data):
    field = data.draw(st.sampled_from(sorted(made)))
    changed = {**made, field: data.draw(broken)}
    try:
        value = orjson.dumps(changed)
    except (TypeError, orjson.JSONEncodeError):
        return
    channel = changed.get("channel")
    try:
        INTERACTION.validate_json(value)
        valid = not isinstance(channel, str) or channel in CHANNELS | {
            "web",
            "email",
            "phone",
            "store",
        }
    except ValidationError:
        valid = False
    try:
        decode(value, CHANNELS, 262_144)
        accepted = True
    except RejectedRecord:
        accepted = False
    assert accepted == valid


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(value):
    try:
        decode(value, CHANNELS, 4096)
    except RejectedRecord as error:
        assert error.reason


@given(st.floats())
def test_no_number_that_is_not_finite_gets_in(number):
    value = json.dumps(event(details={"x": number})).encode()
    if math.isfinite(number):
        assert decode(value, CHANNELS, 4096).event["details"]["x"] == number
    else:
        assert refused(value).reason == "invalid_json"
