"""XGBoost: rank 0 has the tracker, and tells where it is through the store of the round."""

import json
import os

import numpy
from xgboost import collective
from xgboost.tracker import RabitTracker

from frameworks.programs.work import work
from rendezvous_core import store_from_env

if __name__ == "__main__":
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    store = store_from_env()
    if rank == 0:
        tracker = RabitTracker(n_workers=world, host_ip=os.environ["MASTER_ADDR"])
        tracker.start()
        store.set("xgboost", json.dumps(tracker.worker_args()))
    with collective.CommunicatorContext(**json.loads(store.get("xgboost"))):

        def total(value: int) -> float:
            """Sum over all."""
            return float(collective.allreduce(numpy.array([float(value)]), collective.Op.SUM)[0])

        work(rank, world, total)
