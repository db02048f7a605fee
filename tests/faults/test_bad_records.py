"""Records that cannot be used, one or all of them, and a topic for them that is not there."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest

from pipeline import topics
from pipeline.errors import RejectedRecord
from pipeline.producers import Producer
from tests.faults.harness import log_of, trial
from tests.faults.sending import records, send, tally, valid
from tests.kafka import choice
from tests.unit.test_decode import POISON, dump
from tests.waiting import until

pytestmark = pytest.mark.timeout(600)

LARGE = 262_144
MANY_DIGITS = dump(details={"x": 1}).replace(b'"x":1', b'"x":' + b"9" * 4_000)


@pytest.mark.slow
def test_one_bad_row_in_ten_thousand(tmp_path):
    with trial(
        tmp_path, 8, "one bad record in 10,000, one batch", "1 rejected, 9,999 stored",
        partitions=1, batch_seconds=10.0, batch_rows=10_000,
    ) as run:  # fmt: skip
        values = [valid(number) for number in range(9_999)]
        values.insert(6_000, b'{"event_id": "e-bad"}')
        send(run, values)
        run.line.drain(run.worker())
        tally(run, 9_999, {"missing_field": 1})


@pytest.mark.slow
def test_poison_among_good_records(tmp_path):
    with trial(
        tmp_path, 9, "poison: empty, tombstone, BOM, invalid UTF-8, surrogates, NaN, infinity, "
        "4,000 digits, depth 2,000, duplicate keys, wrong shapes, years 0 and 9999 …",
        "rejected whole with the reason, everything else stored",
    ) as run:  # fmt: skip
        poison = [(value, reason) for value, reason in POISON if reason != "too_large"]
        poison += [(MANY_DIGITS, "invalid_json"), (b'{"x":"' + b"y" * LARGE + b'"}', "too_large")]
        values: list[bytes | None] = [valid(number) for number in range(2_000)]
        for place, (value, _) in enumerate(poison):
            values.insert(place * 40, value)
        send(run, values)
        run.line.drain(run.worker())
        tally(run, 2_000, dict(Counter(reason for _, reason in poison)))
        kept = records(run.line.settings, topics.rejected(run.line.settings))
        assert sorted(value or b"" for value, _ in kept) == sorted(v or b"" for v, _ in poison)


@pytest.mark.slow
def test_nothing_but_poison(tmp_path):
    with trial(
        tmp_path, 10, "100 % poison: 3,000 records", "worker stops with lag and says why; "
        "all rejected once it is allowed",
    ) as run:  # fmt: skip
        send(run, [b"not json"] * 3_000)
        worker = run.worker()
        assert worker.process.wait(120) == 1
        assert "were rejected, one because" in log_of(worker)
        assert not topics.committed(run.line.settings)
        run.line.drain(run.worker(reject_ratio_limit=1.0))
        tally(run, 0, {"invalid_json": 3_000})


@pytest.mark.slow
def test_the_topic_of_rejects_is_gone(tmp_path):
    if not choice.is_apache():
        pytest.skip("the embedded broker acknowledges what it has no topic for: --kafka apache")
    with trial(
        tmp_path, 11, "reject topic deleted under a running worker, then a bad record",
        "nothing acknowledged before the record is in that topic",
    ) as run:  # fmt: skip
        send(run, [valid(number) for number in range(500)])
        worker = run.worker()
        run.line.drain(worker)
        with topics.admin(run.line.settings) as client:
            client.delete_topics([topics.rejected(run.line.settings)])
        before = run.committed()
        send(run, [b"bad", *(valid(1_000 + number) for number in range(500))])
        until(
            lambda: worker.process.poll() is not None
            or "did not take a record" in log_of(worker),
            240, "a word about it",
        )  # fmt: skip
        run.faults += 1
        rejected = topics.rejected(run.line.settings)
        assert run.committed() == before
        assert run.line.account().rejected == {}
        topics.ensure(run.line.settings, run.line.loaded.catalog)
        if worker.process.poll() is not None:
            worker = run.worker()
        run.line.drain(worker)
        tally(run, 1_000, {"invalid_json": 1})
        assert len(records(run.line.settings, rejected)) >= 1


@pytest.mark.slow
def test_records_that_are_too_large(tmp_path):
    with trial(
        tmp_path, 12, "records of 9 kB, 300 kB and 70 MB where 8 kB are allowed",
        "refused at the producer; else rejected, too large for the reject topic: shortened, digest",
        max_record_bytes=8_192,
    ) as run:  # fmt: skip
        settings = run.line.settings
        with Producer(settings, run.line.loaded.channels) as producer:
            with pytest.raises(RejectedRecord, match="too_large"):
                producer.send_raw(valid(0, details={"page_type": "x", "note": "y" * 9_000}))
            producer.send_raw(valid(1))
        sizes = (9_000, 300_000, 70_000_000)
        send(run, [*(b'{"x":"' + b"y" * size + b'"}' for size in sizes), valid(2)], large=True)
        run.line.drain(run.worker())
        run.faults = 1
        tally(run, 2, {"too_large": 3})
        kept = records(settings, topics.rejected(settings))
        assert sorted(len(value or b"") for value, _ in kept) == [9_008, 262_144, 300_008]
        (digest,) = (h["touchline-sha256"] for _, h in kept if "touchline-sha256" in h)
        whole = b'{"x":"' + b"y" * sizes[-1] + b'"}'
        assert digest.decode() == hashlib.sha256(whole).hexdigest()
