"""Clusters of servers, each on a machine of its own: three etcd members, or three Redis primaries."""

import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rendezvous_etcd.server import find_binary
from tests.redis.networks import Network
from tests.redis.servers import server_of

PATIENCE = 90.0
CREATE = """
import redis, sys, time
nodes = [redis.Redis(host, 6379, protocol=2) for host in sys.argv[1:]]
slots = [0, 5461, 10922, 16384]
for node, first, after in zip(nodes, slots, slots[1:]):
    node.execute_command("CLUSTER", "ADDSLOTSRANGE", first, after - 1)
    node.execute_command("CLUSTER", "MEET", sys.argv[1], 6379)
while not all("cluster_state:ok" in str(node.execute_command("CLUSTER", "INFO")) for node in nodes):
    time.sleep(0.1)
"""


class Servers:
    """The members of one cluster; one of them at a time may be cut off or killed."""

    def __init__(self, kind: str, network: Network, folder: Path) -> None:
        self.kind = kind
        addresses = [f"10.9.0.{number}" for number in (1, 2, 3)]
        self.hosts = [network.host(f"s{index}", [f"{each}/24"]) for index, each in enumerate(addresses)]
        self._commands = [self._command(index, addresses, folder) for index in range(3)]
        self._folder = folder
        self._processes = [self._start(index) for index in range(3)]
        if kind == "redis":
            self.backend, self.endpoint = (
                "redis",
                "cluster://" + ",".join(f"{each}:6379" for each in addresses),
            )
            create = self.hosts[0].command(sys.executable, "-c", CREATE, *addresses)
            for process in self._processes:
                self._await(process, b"Ready to accept connections")
            subprocess.run(create, check=True, timeout=PATIENCE)
        else:
            self.backend, self.endpoint = "etcd-v3", ",".join(f"{each}:2379" for each in addresses)
            for process in self._processes:
                self._await(process, b"ready to serve client requests")

    @property
    def keeps_all(self) -> bool:
        """Whether what is acknowledged stands whichever member dies: then one may."""
        return self.kind == "etcd"

    def _command(self, index: int, addresses: Sequence[str], folder: Path) -> list[str]:
        me, data = addresses[index], folder / f"data{index}"
        data.mkdir()
        if self.kind == "redis":
            given = [
                "--port",
                "6379",
                "--bind",
                me,
                "--protected-mode",
                "no",
                "--save",
                "",
                "--dir",
                str(data),
            ]
            return [str(server_of("valkey")), *given, "--cluster-enabled", "yes"]
        members = ",".join(f"m{number}=http://{each}:2380" for number, each in enumerate(addresses))
        return [
            find_binary(),
            f"--name=m{index}",
            f"--data-dir={data}",
            f"--listen-client-urls=http://{me}:2379",
            f"--advertise-client-urls=http://{me}:2379",
            f"--listen-peer-urls=http://{me}:2380",
            f"--initial-advertise-peer-urls=http://{me}:2380",
            f"--initial-cluster={members}",
        ]

    def _start(self, index: int) -> "subprocess.Popen[bytes]":
        command = self.hosts[index].command(*self._commands[index])
        with self._log(index).open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)

    def _log(self, index: int) -> Path:
        return self._folder / f"log{index}"

    def _await(self, process: "subprocess.Popen[bytes]", line: bytes) -> None:
        log = self._log(self._processes.index(process))
        subprocess.run(
            [
                "timeout",
                str(PATIENCE),
                "sh",
                "-c",
                f"until grep -q '{line.decode()}' {log}; do sleep 0.1; done",
            ],
            check=True,
        )

    def kill(self, index: int) -> None:
        """End a member without a word."""
        self._processes[index].kill()
        self._processes[index].wait()

    def restart(self, index: int) -> None:
        """Start a member again, with the data that it had."""
        self._processes[index] = self._start(index)

    def stop(self) -> None:
        """End all."""
        with ExitStack() as stack:
            for index in range(3):
                stack.callback(self.kill, index)
