"""Small streams on which detection and the oracle once differed.

Times are minutes; ``e`` makes an event at touchpoint ``a`` to ``f``. Each story is what arrives,
batch by batch, with the watermark after it.
"""

from __future__ import annotations

import pytest

from pipeline import catalog
from tests.detecting import Memory
from tests.moment_catalog import written
from tests.moment_found import Seen
from tests.unit.moment_examples import at, e, rule
from tests.unit.test_moments_agree import detected, expected

RATE = rule(
    "rate", 'when.touchpoint = "a"\nmore_than = 1\nwithin = "1h"\nretracted_by.action = "b"'
)
RATE_AND_STRIKES = (
    '[strikes]\nthreshold = 2\nwindow = "4h"\n'
    + RATE
    + rule("single", 'when.touchpoint = "e"', "one")
)
GLORY_RATE = RATE.replace('"pain"', '"glory"')
STRIKES = '[strikes]\nthreshold = 2\nwindow = "2h"\n' + rule(
    "single",
    'when.touchpoint = "a"\nresolved_by.touchpoint = "b"\nretracted_by.touchpoint = "c"',
)
OVER = STRIKES + rule("single", 'when.moment = { rule = "r" }', "over")
SHORT = rule("single", 'when.touchpoint = "a"\nopen_for = "30m"') + rule(
    "absence",
    'after.moment = { rule = "r" }\nuntil.touchpoint = "f"\nwithin = "1h"\nopen_for = "30m"',
    "over",
)
TOGETHER = "".join(
    [
        '[strikes]\nthreshold = 2\nwindow = "4h"\n',
        rule("count", 'when.touchpoint = "a"\ncount = 2\nwithin = "1h"\nopen_for = "2h"', "twice"),
        rule(
            "absence",
            'after.touchpoint = "a"\nuntil.touchpoint = "b"\nwithin = "1h"\nopen_for = "2h"',
            "absent",
        ),
        rule(
            "count",
            'when.moment = { rule = "absent" }\ncount = 2\nwithin = "2h"\nopen_for = "2h"',
            "again",
        ),
        rule(
            "absence",
            'after.moment = { rule = "twice" }\nuntil.touchpoint = "f"\nwithin = "90m"\n'
            'open_for = "2h"',
            "over",
        ),
    ]
)
APART = "".join(
    [
        '[strikes]\nthreshold = 2\nwindow = "3h"\n',
        rule("single", 'when.action = "e"\nresolved_by.action = "b"\nopen_for = "3h"', "another"),
        rule("count", 'when.action = "b"\ncount = 2\nwithin = "1h"\nopen_for = "1h"', "twice"),
        rule(
            "absence",
            'after.action = "a"\nuntil.action = "b"\nwithin = "1h"\nopen_for = "2h"',
            "absent",
        ),
        rule(
            "absence",
            'after.moment = { rule = "twice" }\nwithin = "90m"\nopen_for = "1h"\n'
            'until = [{ action = "f" }, { moment = { status = "resolved" } }]',
            "over",
        ),
    ]
)
STRIKES_SHORT = STRIKES + 'open_for = "30m"\n'
ABSENT_SHORT = STRIKES_SHORT + rule(
    "absence",
    'after.touchpoint = "d"\nuntil.touchpoint = "e"\nwithin = "30m"\nopen_for = "30m"',
    "absent",
)
RECOVERED = STRIKES + rule(
    "sequence",
    'first.moment = { rule = "r", status = "resolved" }\nthen.touchpoint = "d"\nwithin = "1h"',
    "recovered",
    glory=True,
)
ABSENT = STRIKES + rule(
    "absence", 'after.touchpoint = "d"\nuntil.touchpoint = "e"\nwithin = "30m"', "absent"
)
EARLY = """
[[promises]]
id = "p"
name = "P"
made.touchpoint = "a"
kept.touchpoint = "b"
term = "1h"
before = "1h"
""" + rule("sequence", 'promise = "p"\nshare = 1.0\nretracted_by.touchpoint = "e"', glory=True)

Story = list[tuple[float, list[Seen]]]


@pytest.mark.parametrize(
    ("rules", "story"),
    [
        pytest.param(
            GLORY_RATE, [(200, [e("a", 0), e("a", 1)])], id="a rate of glory is never over"
        ),
        pytest.param(
            RATE, [(0, [e("a", 0), e("a", 1), e("a", 61)])], id="a rate is over by an event"
        ),
        pytest.param(
            RATE.replace("retracted_by", "resolved_by"),
            [(0, [e("a", 0), e("a", 1), e("a", 61, "1"), e("b", 61, "2")])],
            id="a rate is over by the first of two events",
        ),
        pytest.param(
            RATE,
            [(0, [e("a", 0), e("a", 1), e("a", 100)]), (0, [e("b", 5)])],
            id="a rate that was over is retracted before",
        ),
        pytest.param(
            RATE,
            [(0, [e("a", 0), e("a", 1), e("a", 100)]), (0, [e("a", 50)])],
            id="a rate that was over goes on",
        ),
        pytest.param(
            RATE,
            [(0, [e("a", 0), e("a", 10), e("a", 100)]), (0, [e("a", 5)])],
            id="a rate that was over has an earlier cause",
        ),
        pytest.param(
            STRIKES,
            [(200, [e("a", 0), e("a", 1)]), (200, [e("c", 150)])],
            id="a pain is retracted after the strikes are over",
        ),
        pytest.param(
            STRIKES,
            [(0, [e("a", 0), e("a", 10), e("b", 50)]), (0, [e("a", 5)])],
            id="strikes that are over have an earlier cause",
        ),
        pytest.param(
            ABSENT,
            [(0, [e("d", 2), e("a", 0), e("a", 1), e("b", 50)]), (200, [])],
            id="strikes go on with a pain that time makes",
        ),
        pytest.param(STRIKES, [(0, [e("a", 0), e("a", 120)])], id="no strikes beyond the window"),
        pytest.param(
            STRIKES,
            [(0, [e("a", 0), e("a", 1), e("a", 130)])],
            id="strikes stay open until time is over",
        ),
        pytest.param(
            STRIKES,
            [
                (-60, [e("a", 0), e("a", 1), e("a", 110), e("a", 115)]),
                (229, []),
                (300, []),
            ],
            id="strikes last longer than the window",
        ),
        pytest.param(
            STRIKES,
            [(300, [e("f", 300)]), (300, [e("a", 0), e("a", 1)])],
            id="strikes of long ago come late",
        ),
        pytest.param(
            RECOVERED,
            [(300, [e("f", 300)]), (300, [e("a", 0), e("b", 50), e("d", 51)])],
            id="what rules over moments find comes late",
        ),
        pytest.param(
            STRIKES,
            [
                (0, [e("a", 0), e("a", 1)]),
                (99, [e("a", 100), e("a", 101)]),
                (199, [e("a", 200), e("a", 201)]),
                (500, []),
            ],
            id="strikes go on and on",
        ),
        pytest.param(
            STRIKES,
            [(0, [e("a", 0)]), (300, []), (300, [e("a", 1)])],
            id="strikes of long ago with one that comes late",
        ),
        pytest.param(
            STRIKES.replace("[[rules]]", '[[rules]]\nper = "case"\ncase = "order_id"'),
            [
                (
                    0,
                    [
                        e("a", 0, case_ids={"order_id": "1"}),
                        e("a", 10, case_ids={"order_id": "2"}),
                        e("b", 120, case_ids={"order_id": "2"}),
                    ],
                )
            ],
            id="strikes end by an event when time would end them",
        ),
        pytest.param(
            SHORT,
            [(0, [e("a", 0), e("f", 20)]), (2000, [])],
            id="what rules over moments look at is held till then",
        ),
        pytest.param(
            TOGETHER,
            [(70, [e("f", 190), e("a", 90), e("a", 150)]), (6000, [])],
            id="what rules over moments look at is held till all is found",
        ),
        pytest.param(
            APART,
            [(660, [e("b", 300), e("b", 330), e("f", 360), e("a", 690)]), (1170, [])],
            id="what rules over moments look at is held as long as the moments",
        ),
        pytest.param(
            ABSENT_SHORT,
            [(2700, [e("d", 0)]), (2800, [e("a", 2900)]), (2800, [e("a", 30)])],
            id="strikes of long ago with what time made long ago",
        ),
        pytest.param(
            STRIKES_SHORT,
            [
                (0, [e("a", 0), e("a", 1)]),
                (100, [e("a", 100), e("a", 101)]),
                (190, []),
                (195, [e("a", 101)]),
                (500, []),
            ],
            id="strikes go on and what is short is forgotten",
        ),
        pytest.param(
            STRIKES_SHORT,
            [
                (0, [e("a", 0), e("a", 1)]),
                (99, [e("a", 100), e("a", 101)]),
                (300, [e("a", 200), e("a", 201), e("a", 301)]),
                (310, [e("a", 311)]),
                (900, []),
            ],
            id="strikes go on past all that is kept, and end",
        ),
        pytest.param(
            RATE_AND_STRIKES,
            [(0, [e("a", 0), e("a", 10), e("e", 30), e("a", 100)]), (70, [])],
            id="only time ends a pain, and with it strikes, at the watermark",
        ),
        pytest.param(
            ABSENT_SHORT,
            [(0, [e("d", 20), e("d", 21), e("a", 100), e("a", 101)]), (350, []), (600, [])],
            id="strikes withdrawn for earlier ones that time made do not come back",
        ),
        pytest.param(
            ABSENT_SHORT,
            [
                (0, [e("a", 0), e("a", 1)]),
                (99, [e("a", 100), e("a", 101)]),
                (200, [e("d", 190), e("d", 191), e("a", 200), e("a", 201), e("b", 225)]),
                (230, []),
                (900, []),
            ],
            id="strikes that ended ahead of time go on with what time made",
        ),
        pytest.param(
            STRIKES_SHORT,
            [
                *((100 * n, [e("a", 100 * n), e("a", 100 * n + 1)]) for n in range(9)),
                (890, []),
                (960, []),
                (1300, [e("a", 1301)]),
                (2000, []),
            ],
            id="strikes go on longer than anything is read back",
        ),
        pytest.param(OVER, [(60, [e("a", 0)])], id="pains of rules over moments count"),
        pytest.param(
            EARLY,
            [(0, [e("a", 0), e("b", 60, "2")]), (0, [e("b", 60, "1")])],
            id="kept when due, then by another at once",
        ),
        pytest.param(
            EARLY,
            [(0, [e("a", 0), e("b", 60)]), (0, [e("b", 50)])],
            id="kept when due, then earlier",
        ),
        pytest.param(
            EARLY, [(0, [e("b", 0), e("b", 5), e("a", 40)])], id="the nearest reply before"
        ),
        pytest.param(
            EARLY,
            [(0, [e("b", 0), e("e", 20), e("a", 40)])],
            id="nothing closes what is not complete",
        ),
    ],
)
@pytest.mark.parametrize("restarts", [0, 1, 2], ids=["", "restarts", "some restarts"])
def test_they_agree(rules, story, restarts, tmp_path):
    path = tmp_path / "made_up.toml"
    path.write_text(written(rules))
    memory = Memory(catalog.load(path))
    stream: list[Seen] = []
    for number, (watermark, batch) in enumerate(story):
        stream += batch
        memory.batch([seen.event for seen in batch], at(watermark))
        if restarts and number % restarts == 0:
            memory.restart()
    assert detected(memory) == expected(stream, at(story[-1][0]), rules)
