"""Dask: the scheduler is at the address of the round, with rank 0; each node has a worker."""

import asyncio
import os

from distributed import Client, Scheduler, Worker

from frameworks.programs.work import STOP, ready


async def main() -> None:
    """Have rank 0 sum over the workers of all nodes, again and again."""
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    if rank != 0:
        async with Worker(f"tcp://{host}:{port}", nthreads=1, name=str(rank), death_timeout=30) as worker:
            ready(rank, world)
            await worker.finished()
        if not STOP.exists():
            raise SystemExit("the scheduler is gone")  # with 0 it would be done
        return
    async with (
        Scheduler(host=host, port=port, dashboard_address=":0") as scheduler,
        Worker(scheduler.address, nthreads=1, name="0"),
        Client(scheduler.address, asynchronous=True) as client,
    ):
        await client.wait_for_workers(world)
        first = True
        while not STOP.exists():
            futures = client.map(lambda number: number + 1, list(range(world)), pure=False)
            if sum(await client.gather(futures)) != world * (world + 1) / 2:
                raise SystemExit("a wrong sum")
            if first:
                ready(rank, world)
            first = False
            await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(main())
