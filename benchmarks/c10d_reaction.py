"""How soon all participants of a round learn of a newcomer, and of one that was killed.

On a TCPStore in a process of its own, ours beside torch's own handler. The participants are threads,
which look at ``num_nodes_waiting`` each millisecond as torchrun's agent does each 100; the one that is
killed is a process. After a death twice the time is waited in which it should be known.

    python benchmarks/c10d_reaction.py --participants 8 --repeat 5
"""

import argparse
import logging
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from c10d_convergence import tcp_store
from convergence import in_threads
from torch.distributed import TCPStore
from torch.distributed.elastic.rendezvous import c10d_rendezvous_backend, dynamic_rendezvous

from rendezvous_c10d import C10dRendezvousBackend
from rendezvous_core import DynamicRendezvousHandler, RendezvousTimeout

INTERVAL = 0.5
ATTEMPTS = 3
LAST_CALL = timedelta(seconds=0.3)

VICTIM = "import sys, c10d_reaction; c10d_reaction.die(*sys.argv[1:])"


def ours(port: int, run_id: str, least: int) -> Any:
    """Create a handler of ours."""
    backend = C10dRendezvousBackend(connect(port), run_id)
    backend.store.connect()  # type: ignore[attr-defined]
    return DynamicRendezvousHandler.from_backend(
        run_id,
        backend.store,
        backend,
        least,
        least + 1,
        "localhost",
        RendezvousTimeout(last_call=LAST_CALL),
        keep_alive_interval=INTERVAL,
        keep_alive_max_attempt=ATTEMPTS,
    )


def torchs(port: int, run_id: str, least: int) -> Any:
    """Create a handler of torch."""
    client = connect(port)
    return dynamic_rendezvous.DynamicRendezvousHandler.from_backend(
        run_id,
        client,
        c10d_rendezvous_backend.C10dRendezvousBackend(client, run_id),
        least,
        least + 1,
        "localhost",
        dynamic_rendezvous.RendezvousTimeout(last_call=LAST_CALL),
        keep_alive_interval=INTERVAL,
        keep_alive_max_attempt=ATTEMPTS,
    )


CONTENDERS: dict[str, Callable[[int, str, int], Any]] = {"c10d": ours, "torch c10d": torchs}


def connect(port: int) -> TCPStore:
    """Open a client."""
    return TCPStore("127.0.0.1", port, is_master=False, wait_for_workers=False)


def until_all_know(handlers: list[Any], act: Callable[[], object], limit: float) -> float | None:
    """Return the seconds from ``act`` until the last handler tells of a change; ``None``: not in time."""
    learned: list[float] = []
    began = time.perf_counter()
    act()

    def look(handler: Any) -> None:
        while not handler.num_nodes_waiting():
            if time.perf_counter() - began > limit:
                return
            time.sleep(0.001)
        learned.append(time.perf_counter() - began)

    in_threads([partial(look, handler) for handler in handlers])
    return max(learned) if len(learned) == len(handlers) else None


def newcomer(contender: str, port: int, participants: int) -> float | None:
    """Have one more node ask."""
    run_id = uuid.uuid4().hex
    create = CONTENDERS[contender]
    handlers = [create(port, run_id, participants) for _ in range(participants)]
    late = create(port, run_id, participants)
    in_threads([handler.next_rendezvous for handler in handlers])

    def ask() -> None:
        try:
            late.next_rendezvous()
        except Exception as error:
            logging.getLogger(__name__).info("%s", error)  # the run is closed before it would be in

    asking = threading.Thread(target=ask)
    seconds = until_all_know(handlers, asking.start, 10)
    in_threads([handler.shutdown for handler in handlers])
    asking.join()
    late.shutdown()
    return seconds


def death(contender: str, port: int, participants: int) -> float | None:
    """Kill a participant, which is a process, with SIGKILL."""
    run_id = uuid.uuid4().hex
    handlers = [CONTENDERS[contender](port, run_id, participants) for _ in range(participants - 1)]
    command = [sys.executable, "-c", VICTIM, contender, str(port), run_id, str(participants)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=sys.path[0]) as victim:
        in_threads([handler.next_rendezvous for handler in handlers])
        assert victim.stdout is not None
        victim.stdout.readline()
        seconds = until_all_know(handlers, victim.kill, 2 * INTERVAL * ATTEMPTS + 0.4)
    in_threads([handler.shutdown for handler in handlers])
    return seconds


def die(contender: str, port: str, run_id: str, participants: str) -> None:
    """Join, say so, and wait for the end."""
    handler = CONTENDERS[contender](int(port), run_id, int(participants))
    handler.next_rendezvous()
    print("joined", flush=True)
    sys.stdin.read()


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--participants", type=int, default=8)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    print(f"keep_alive_interval {INTERVAL:g} s, keep_alive_max_attempt {ATTEMPTS}")
    print(f"{'contender':<12} {'event':<9} {'median':>8} {'worst':>8}  seconds until all have learned")
    with tcp_store() as port:
        for measured in (newcomer, death):
            for contender in CONTENDERS:
                runs = [measured(contender, port, options.participants) for _ in range(options.repeat)]
                known = [seconds for seconds in runs if seconds is not None]
                figures = (
                    f"{statistics.median(known):8.3f} {max(known):8.3f}"
                    if len(known) == len(runs)
                    else f"{'never':>8} {'never':>8}  ({len(runs) - len(known)} of {len(runs)})"
                )
                print(f"{contender:<12} {measured.__name__:<9} {figures}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
