"""What servers say of themselves."""

import re
import urllib.request
from collections.abc import Callable
from typing import NamedTuple


class Reading(NamedTuple):
    """What a server has done so far, and what it holds."""

    requests: int
    bytes: int
    """In both directions."""
    processor: float
    """Seconds."""
    memory: int
    """Bytes."""
    connections: int


Meter = Callable[[], Reading]


def _redis(endpoint: str) -> Meter:
    from redis import Redis

    host, _, port = endpoint.rpartition(":")
    client = Redis(host, int(port), single_connection_client=True)  # kept: nodes may take all there are

    def read() -> Reading:
        told = client.info()
        return Reading(
            # Commands are counted within scripts, too; what comes in one piece is one request.
            told["total_reads_processed"],
            told["total_net_input_bytes"] + told["total_net_output_bytes"],
            told["used_cpu_user"] + told["used_cpu_sys"],
            told["used_memory"],
            told["connected_clients"] - 1,
        )

    return read


def etcd_counters(endpoint: str) -> Callable[[str], float]:
    """Ask an etcd for all that it counts; return what adds up counters, given as ``a|b``."""
    with urllib.request.urlopen(f"http://{endpoint}/metrics") as answer:
        metrics = answer.read().decode()

    def total(counters: str) -> float:
        found = re.findall(rf"^(?:{counters})(?:\{{.*\}})? (\S+)$", metrics, re.MULTILINE)
        return sum(map(float, found))

    return total


def _etcd(endpoint: str) -> Meter:
    def read() -> Reading:
        total = etcd_counters(endpoint)
        return Reading(
            int(total("grpc_server_msg_received_total")),
            int(
                total(
                    "etcd_network_client_grpc_received_bytes_total|etcd_network_client_grpc_sent_bytes_total"
                )
            ),
            total("process_cpu_seconds_total"),
            int(total("process_resident_memory_bytes")),
            int(total("process_open_fds")),
        )

    return read


METERS: dict[str, Callable[[str], Meter]] = {"redis": _redis, "etcd": _etcd}
"""By the name of the server, what reads its counters at an endpoint; the others have none."""
