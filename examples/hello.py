"""What one node of a group can do: run it with ``rdzv run --spawn 4 -- python examples/hello.py``."""

import os

from rendezvous_core import store_from_env

store = store_from_env()
rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])

# Every node writes a line about itself, and waits until all have done so.
store.set(f"hello/{rank}", f"rank {rank} is process {os.getpid()}")
store.barrier("all-said-hello", size)

# Everybody counts on the same number, and the last to arrive has the sum.
total = store.add("sum", rank + 1)
store.barrier("all-have-added", size)

print(f"Hello from rank {rank} of {size}; when I had added {rank + 1}, the sum was {total}.", flush=True)
if rank == 0:
    expected = size * (size + 1) // 2
    print(f"Round {os.environ['RDZV_ROUND']} of the run {os.environ['RDZV_RUN_ID']}:", flush=True)
    for line in store.multi_get([f"hello/{each}" for each in range(size)]):
        print(f"  {line.decode()}", flush=True)
    print(f"  together they made {store.add('sum', 0)}, as 1 + ... + {size} = {expected}", flush=True)
