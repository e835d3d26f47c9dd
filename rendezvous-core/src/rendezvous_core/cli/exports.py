"""What frameworks look for in the environment of their processes: ``rdzv run --export NAME``."""

import json
import socket

from rendezvous_core.plugins.hookspecs import RendezvousSeat, hookimpl


class Torch:
    """What torchrun gives its workers: for programs that ask whether it started them."""

    @hookimpl
    def rendezvous_environment(self, seat: RendezvousSeat) -> dict[str, str]:
        """See `hookspecs`."""
        return {
            "TORCHELASTIC_RUN_ID": seat.run_id,
            "TORCHELASTIC_RESTART_COUNT": str(seat.round),
            # Rank 0 hosts the store at MASTER_ADDR.
            "TORCHELASTIC_USE_AGENT_STORE": "False",
            "ROLE_NAME": "default",
            "ROLE_RANK": str(seat.rank),
            "ROLE_WORLD_SIZE": str(seat.world_size),
        }


class Jax:
    """Where the coordinator of ``jax.distributed.initialize`` is: at an address of this round alone."""

    @hookimpl
    def rendezvous_environment(self, seat: RendezvousSeat) -> dict[str, str]:
        """See `hookspecs`."""
        host = f"[{seat.master_addr}]" if ":" in seat.master_addr else seat.master_addr
        return {
            "JAX_COORDINATOR_ADDRESS": f"{host}:{seat.master_port}",
            "JAX_NUM_PROCESSES": str(seat.world_size),
            "JAX_PROCESS_ID": str(seat.rank),
        }


class Tensorflow:
    """``TF_CONFIG``: where each worker of the round listens. All tell each other a free port."""

    @hookimpl
    def rendezvous_environment(self, seat: RendezvousSeat) -> dict[str, str]:
        """See `hookspecs`."""
        with socket.create_server(("", 0)) as free:
            host = f"[{seat.address}]" if ":" in seat.address else seat.address
            own = f"{host}:{free.getsockname()[1]}"
        keys = [f"tensorflow/{rank}" for rank in range(seat.world_size)]
        seat.store.compare_set(keys[seat.rank], "", own)  # the first one stays, whenever this is tried again
        workers = [address.decode() for address in seat.store.multi_get(keys)]
        cluster = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": seat.rank}}
        return {"TF_CONFIG": json.dumps(cluster)}


torch, jax, tensorflow = Torch(), Jax(), Tensorflow()
