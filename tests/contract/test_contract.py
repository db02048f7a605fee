"""The exported schemas and the example files say the same as the models."""

import json
from pathlib import Path

import jsonschema
import pytest

from jobs.schema import json_schema
from pipeline import catalog
from pipeline.decode import decode, known_channels
from pipeline.errors import RejectedRecord

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
EXAMPLES = sorted(SCHEMAS.glob("examples/*/*/*.json"))
CHANNELS = known_channels(catalog.load().channels)


@pytest.mark.parametrize(
    "contract", ["interaction", "catalog", "mapping", "moment", "notification"]
)
def test_the_exported_schema_is_the_models(contract):
    exported = json.loads((SCHEMAS / "json" / f"{contract}.json").read_text())
    assert exported == json_schema(contract), f"touchline schema {contract} says otherwise"
    jsonschema.Draft202012Validator.check_schema(exported)


def test_every_channel_has_valid_and_invalid_examples():
    kinds = {(path.parts[-3], path.parts[-2]) for path in EXAMPLES}
    channels = ("web", "email", "phone", "store", "other")
    assert kinds == {(channel, kind) for channel in channels for kind in ("valid", "invalid")}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: "/".join(path.parts[-3:]))
def test_example(path):
    value = path.read_bytes()
    if path.parent.name == "valid":
        decoded = decode(value, CHANNELS, 262_144)
        assert decoded.event == json.loads(value)
        return
    with pytest.raises(RejectedRecord) as caught:
        decode(value, CHANNELS, 262_144)
    reason, _, field = path.stem.partition("--")
    assert (caught.value.reason, caught.value.field) == (reason, field)


@pytest.mark.parametrize(
    "path",
    [path for path in EXAMPLES if path.parent.name == "valid"],
    ids=lambda path: path.stem,
)
def test_valid_examples_fit_the_exported_schema(path):
    schema = json.loads((SCHEMAS / "json" / "interaction.json").read_text())
    # a typed channel's record also fits the free-form model, so oneOf is read as anyOf here
    schema["anyOf"] = schema.pop("oneOf")
    jsonschema.validate(json.loads(path.read_bytes()), schema)
