"""JAX: its coordinator is at an address of the round alone."""

import os

import jax
import jax.numpy as jnp
from jax.experimental import multihost_utils

from frameworks.programs.work import work


def initialize() -> None:
    """Bring the processes of the round together; ``rdzv run --export jax`` tells where they meet."""
    jax.distributed.initialize(
        os.environ["JAX_COORDINATOR_ADDRESS"],
        int(os.environ["JAX_NUM_PROCESSES"]),
        int(os.environ["JAX_PROCESS_ID"]),
    )


if __name__ == "__main__":
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    initialize()

    def total(value: int) -> float:
        """Sum over all."""
        return float(multihost_utils.process_allgather(jnp.array([float(value)])).sum())

    work(jax.process_index(), jax.process_count(), total)
