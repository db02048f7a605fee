"""A made-up catalog for the oracle of moments: touchpoints a to f, and rules of every type.

Lengths of time are multiples of half an hour, so that events on a grid often lie exactly on a
boundary.
"""

from __future__ import annotations

from functools import cache

from pipeline.toml_model import read_model
from schemas.catalog import Catalog

#: Channels that every touchpoint can happen on.
CHANNELS = ("web", "email", "phone", "store")
#: Touchpoints with the need each serves; the action of an event is the touchpoint's name.
TOUCHPOINTS = {
    "a": "learn",
    "b": "help",
    "c": "help",
    "d": "pay",
    "e": "complain",
    "f": "help",
}

_HEAD = """version = "1"
name = "Made up"
journey = { gap = "14d" }
facts = [{ id = "bought", name = "Bought", touchpoints = ["d"] }]
"""
_STAGES = """
[[stages]]
id = "{name}"
name = "{name}"
weight = {weight}
phase = "before"
funnel = "awareness"
"""
_TOUCHPOINT = """
[[touchpoints]]
id = "{name}"
name = "{name}"
kind = "human"
contact = "human"
needs = ["{need}"]
stage = "first"
{after}
owner = "Somebody"
outcome = "Something"
process = "Some"
importance = 3
match = [{{ channel = ["web", "email", "phone", "store"], action = "{name}" }}]
"""
#: Only a touchpoint's stage depends on the past.
_AFTER = (
    'stage_after = [{ fact = "bought", times = 2, stage = "third" }, '
    '{ fact = "bought", stage = "second" }]'
)

#: The catalog without calendars, promises, rules and strikes.
BASE = (
    _HEAD
    + "".join(f'[[channels]]\nid = "{name}"\nname = "{name}"\n' for name in CHANNELS)
    + "".join(
        f'[[needs]]\nid = "{name}"\nname = "{name}"\n'
        for name in dict.fromkeys(TOUCHPOINTS.values())
    )
    + "".join(
        _STAGES.format(name=name, weight=weight)
        for name, weight in (("first", 0.5), ("second", 0.25), ("third", 0.25))
    )
    + "".join(
        _TOUCHPOINT.format(name=name, need=need, after=_AFTER if name == "a" else "")
        for name, need in TOUCHPOINTS.items()
    )
)

#: Rules of every type with every option, for streams of any events of the base.
RULES = """
[strikes]
threshold = 2
window = "4h"

[[calendars]]
id = "office"
zone = "Europe/Amsterdam"
hours = { mon = ["09:00-12:30", "13:00-17:00"], tue = ["09:00-17:00"], fri = ["09:00-17:00"], \
sun = ["01:00-05:00"] }
holidays = [2026-03-31]

[[promises]]
id = "answer"
name = "Answer"
per = "case"
case = ["ticket_id", "order_id"]
made = { touchpoint = "a" }
kept = { touchpoint = "b" }
cancelled = { touchpoint = "c" }
term = "2h"
before = "30m"
open_for = "6h"

[[promises]]
id = "office_answer"
name = "Answer in office hours"
made = { touchpoint = ["a", "e"], channel = ["web", "email"] }
kept = [{ touchpoint = "b", direction = "outbound" }, { touchpoint = "c", channel = "phone" }]
term = "4h"
calendar = "office"

[[promises]]
id = "delivery"
name = "Delivery"
per = "case"
case = "order_id"
made = { touchpoint = "d" }
kept = { touchpoint = ["d", "f"] }
cancelled = { touchpoint = "e" }
open_for = "2h"

[[rules]]
id = "single_e"
type = "single"
kind = "pain"
when = { touchpoint = "e", where."rating.score" = { max = 3.0 } }
resolved_by = { touchpoint = "b" }
retracted_by = { touchpoint = "c", channel = "phone" }
open_for = "3h"

[[rules]]
id = "single_per_case"
type = "single"
kind = "pain"
per = "case"
case = ["order_id", "ticket_id"]
when = [{ touchpoint = "c", direction = "inbound" }, { action = "e", segment = "gold" }]
resolved_by = { touchpoint = "d" }
retracted_by = { touchpoint = ["d", "f"], channel = "web" }

[[rules]]
id = "praise"
type = "single"
kind = "glory"
when = { touchpoint = "b", stage = "first", where."details.campaign" = { exists = true } }
retracted_by = { touchpoint = "e" }
open_for = "1h"

[[rules]]
id = "by_stage"
type = "single"
kind = "glory"
when = [{ stage = "third" }, { stage = "second", channel = "web" }]

[[rules]]
id = "newcomer"
type = "single"
kind = "pain"
per = "need"
when = { touchpoint = ["e", "f"], customer = { fact = "bought", times = 2, absent = true } }
resolved_by = { customer = { fact = "bought" }, touchpoint = "b" }

[[rules]]
id = "count_two"
type = "count"
kind = "pain"
when = { touchpoint = ["a", "b"] }
count = 2
within = "1h"
unless = { touchpoint = ["b", "c"], channel = "web" }
resolved_by = { touchpoint = "d" }

[[rules]]
id = "count_same"
type = "count"
kind = "pain"
per = "need"
when = { need = ["help", "complain"] }
count = 3
within = "2h"
same = "details.campaign"
unless = { touchpoint = "f" }
retracted_by = { touchpoint = "f", channel = "store" }

[[rules]]
id = "count_case"
type = "count"
kind = "glory"
per = "case"
case = "order_id"
when = { direction = "outbound" }
count = 2
within = "90m"

[[rules]]
id = "rate_two"
type = "rate"
kind = "pain"
when = { channel = "email" }
more_than = 2
within = "2h"
resolved_by = { touchpoint = "d", channel = "phone" }
retracted_by = { touchpoint = "f", channel = "phone" }

[[rules]]
id = "rate_same"
type = "rate"
kind = "pain"
per = "case"
case = ["ticket_id"]
when = { touchpoint = ["a", "b", "c"] }
more_than = 1
within = "1h"
same = "segment"
open_for = "90m"

[[rules]]
id = "rate_glory"
type = "rate"
kind = "glory"
when = { touchpoint = ["d", "f"] }
more_than = 1
within = "3h"
retracted_by = { touchpoint = "e" }

[[rules]]
id = "seq"
type = "sequence"
kind = "pain"
first = { touchpoint = ["a", "b"] }
then = { touchpoint = ["b", "c"] }
unless = [{ touchpoint = "d" }, { touchpoint = "b", channel = "store" }]
within = "90m"
resolved_by = { touchpoint = "a" }

[[rules]]
id = "seq_self"
type = "sequence"
kind = "glory"
per = "case"
case = ["order_id", "ticket_id"]
first = { touchpoint = "d" }
then = { touchpoint = "d" }
within = "2h"

[[rules]]
id = "early"
type = "sequence"
kind = "glory"
promise = "answer"
share = 0.5
retracted_by = { touchpoint = "e" }

[[rules]]
id = "on_time"
type = "sequence"
kind = "glory"
promise = "delivery"
share = 1.0

[[rules]]
id = "absent"
type = "absence"
kind = "pain"
after = { touchpoint = "a" }
until = { touchpoint = ["b", "d"] }
unless = { touchpoint = ["c", "d"] }
within = "1h"
resolved_by = { touchpoint = "e" }
open_for = "2h"

[[rules]]
id = "absent_last"
type = "absence"
kind = "pain"
per = "case"
case = ["order_id", "ticket_id"]
after = { touchpoint = ["a", "c"] }
until = { touchpoint = ["c", "d"] }
within = "2h"
each = false

[[rules]]
id = "absent_office"
type = "absence"
kind = "pain"
per = "need"
after = { need = "help", direction = "inbound" }
until = { need = "help", direction = "outbound" }
retracted_by = { touchpoint = "f" }
within = "3h"
calendar = "office"
each = false

[[rules]]
id = "broken"
type = "absence"
kind = "pain"
promise = "answer"
resolved_by = { touchpoint = "d" }
retracted_by = { touchpoint = "f" }

[[rules]]
id = "office_broken"
type = "absence"
kind = "pain"
promise = "office_answer"

[[rules]]
id = "late"
type = "absence"
kind = "pain"
promise = "delivery"
open_for = "4h"

[[rules]]
id = "moved"
type = "change"
kind = "pain"
per = "case"
case = ["ticket_id"]
when = { touchpoint = ["a", "b"] }
within = "1h"

[[rules]]
id = "asked_again"
type = "change"
kind = "pain"
per = "need"
when = { direction = "inbound" }
then = { touchpoint = ["c", "e"] }
within = "2h"
resolved_by = { touchpoint = "d" }

[[rules]]
id = "recovered"
type = "sequence"
kind = "glory"
first = { moment = { kind = "pain", status = "resolved" } }
then = { touchpoint = "d" }
within = "2h"
retracted_by = { moment = { rule = "single_e" } }

[[rules]]
id = "pains_again"
type = "count"
kind = "pain"
when = { moment = { kind = "pain", rule = ["absent", "single_e", "broken", "seq"] } }
count = 2
within = "2h"
unless = { moment = { kind = "glory" } }
resolved_by = [{ touchpoint = "b" }, { moment = { kind = "glory", rule = "praise" } }]

[[rules]]
id = "not_made_good"
type = "absence"
kind = "pain"
after = { moment = { kind = "pain", rule = ["count_two", "rate_two"] } }
until = [{ moment = { kind = "pain", status = "resolved" } }, { touchpoint = "f" }]
within = "90m"
each = false
"""
#: What every rule must say and no test is about.
_SAID = 'name = "Rule"\ntext = "{customer}"\nsource = "A test."\n'


def forgetful(text: str) -> str:
    """Return rules and promises that await nothing for long, so that most is soon forgotten."""
    entries = text.split("\n[[")
    return "\n[[".join(
        entry
        if "open_for" in entry or not entry.startswith(("rules", "promises"))
        else entry.replace("\nid", '\nopen_for = "2h"\nid', 1)
        for entry in entries
    )


@cache
def read(text: str) -> Catalog:
    """Return the base with rules, promises, calendars or strikes in TOML.

    Rules need no name, text and source.
    """
    return read_model("made_up.toml", written(text), Catalog)[0]


def written(text: str) -> str:
    """Return the same as a whole file."""
    return BASE + text.replace("[[rules]]\n", f"[[rules]]\n{_SAID}")
