import asyncio

from pipeline.chunks import Chunk
from pipeline.intake import Intake
from pipeline.settings import Settings

MEBI = 1 << 20


def chunk(number, records=1, size=100):
    return Chunk("t", 0, number, number + 1, [None] * records, size)


def intake(**limits):
    return Intake(Settings(**{"batch_seconds": 0.01, "batch_bytes": MEBI, **limits}))


def test_a_batch_ends_with_its_rows_bytes_or_age():
    async def batches():
        waiting = intake(batch_rows=10)
        for number in range(5):
            await waiting.put(chunk(number, records=4))
        by_rows = await waiting.batch(5)
        by_age = await waiting.batch(5)
        await waiting.put(chunk(7, size=MEBI))
        await waiting.put(chunk(8))
        by_bytes = await waiting.batch(5)
        return [[item.begin for item in found] for found in (by_rows, by_age, by_bytes)]

    assert asyncio.run(batches()) == [[0, 1, 2], [3, 4], [7]]


def test_no_more_than_two_batches_of_bytes_wait():
    async def fill():
        waiting = intake()
        accepted = []

        async def agent():
            for number in range(10):
                await waiting.put(chunk(number, size=MEBI))
                accepted.append(number)

        task = asyncio.create_task(agent())
        await asyncio.sleep(0)
        before = list(accepted)
        first = await waiting.batch(5)
        await asyncio.sleep(0)
        after = list(accepted)
        task.cancel()
        return before, [item.begin for item in first], after

    assert asyncio.run(fill()) == ([0, 1], [0], [0, 1, 2])


def test_a_chunk_larger_than_everything_allowed_still_passes():
    async def one():
        waiting = intake()
        await waiting.put(chunk(0, size=100 * MEBI))
        return await waiting.batch(5)

    assert [item.begin for item in asyncio.run(one())] == [0]


def test_without_chunks_an_empty_batch_comes_when_patience_ends():
    async def none():
        return await intake().batch(0.01)

    assert asyncio.run(none()) == []
