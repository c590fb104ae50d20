"""One of several processes on one file: begins at a given moment, prints its calls a second."""

import asyncio
import random
import sys
import time
from pathlib import Path

from authstore import connect
from benchmarks.dataset import Dataset, Size
from benchmarks.rounds import per_second


async def main(path: str, source: str, *numbers: str) -> None:
    """64 tasks, 95 % `get_session_and_user`, 5 % `create_session`."""
    *size, start, seconds, seed = numbers
    data = Dataset(Path(source), Size(*map(int, size)))
    tokens, users = data.session_tokens(50_000, int(seed) + 10), data.user_ids(1_000, int(seed))
    chance = random.Random(int(seed))
    async with connect(Path(path)) as store:

        async def call() -> None:
            if chance.random() < 0.95:
                await store.get_session_and_user(chance.choice(tokens))
            else:
                await store.create_session(chance.choice(users))

        await asyncio.sleep(max(0.0, float(start) - time.time()))
        print(await per_second(call)(float(seconds)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
