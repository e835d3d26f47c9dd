"""Groups of servers: a primary and a replica watched by Sentinels, and a cluster."""

import random
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from rendezvous_core.ports.serving import free_port
from rendezvous_redis import RedisServer
from rendezvous_redis._process import GuardedProcess

PATIENCE = 60.0
ONCE = Retry(NoBackoff(), 0)


def until(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Look at ``condition``, of which nobody tells, until it holds."""
    deadline = time.monotonic() + patience
    while True:
        with suppress(redis.RedisError):
            if condition():
                return
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def ask(server: RedisServer, *command: object, password: str | None = None) -> object:
    """Have one command done by ``server``."""
    with redis.Redis(server.host, server.port, password=password, protocol=2, retry=ONCE) as client:
        return client.execute_command(*command)


class Sentinels:
    """A primary, a replica, and ``count`` Sentinels that watch them under the name ``main``."""

    def __init__(self, binary: Path, folder: Path, count: int = 1, config: tuple[str, ...] = ()) -> None:
        common = (
            "repl-diskless-sync yes",
            "repl-diskless-sync-delay 0",
            "repl-ping-replica-period 1",
            *config,
        )
        self.first = RedisServer(binary=binary, config=common)
        self.first.start()
        link = f"replicaof {self.first.host} {self.first.port}"
        self.second = RedisServer(binary=binary, config=(*common, link))
        self.second.start()
        until(lambda: self.is_in_sync(self.second))
        self._sentinels: list[GuardedProcess] = []
        self._ports: list[int] = []
        quorum = count // 2 + 1
        for number in range(count):
            port = free_port()
            file = folder / f"sentinel-{number}.conf"
            file.write_text(
                f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
                f"sentinel monitor main 127.0.0.1 {self.first.port} {quorum}\n"
                "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n"
            )
            process = GuardedProcess([binary, file, "--sentinel"], r"\+monitor master main", "", folder)
            assert process.wait_until_ready(PATIENCE), process.printed
            self._sentinels.append(process)
            self._ports.append(port)
        until(self._is_ready)

    @property
    def endpoint(self) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in sorted(self._ports))
        return f"sentinel://{hosts}/main"

    @property
    def primary(self) -> RedisServer:
        """Who the Sentinels say is the primary."""
        address = self._sentinel("GET-MASTER-ADDR-BY-NAME", "main")
        assert isinstance(address, list)
        return self.first if int(address[1]) == self.first.port else self.second

    @property
    def replica(self) -> RedisServer:
        """The other one."""
        return self.second if self.primary is self.first else self.first

    @staticmethod
    def is_in_sync(replica: RedisServer) -> bool:
        found = ask(replica, "INFO", "replication")
        return isinstance(found, dict) and found.get("master_link_status") == "up"

    def fail_over(self) -> None:
        """Have the replica take over, and return when the Sentinels say that it has."""
        former = self.primary
        until(lambda: self._sentinel("FAILOVER", "main"))
        until(lambda: self.primary is not former)

    def stop_sentinel(self, number: int) -> None:
        """Stop one Sentinel; the others are asked from now on."""
        self._sentinels.pop(number).stop(5)
        self._ports.append(self._ports.pop(number))

    def stop(self) -> None:
        for process in self._sentinels:
            process.stop(5)
        for server in (self.first, self.second):
            server.stop()

    def _is_ready(self) -> bool:
        known = self._sentinel("REPLICAS", "main")
        others = self._sentinel("SENTINELS", "main")
        assert isinstance(known, list)
        assert isinstance(others, list)
        return len(known) == 1 and len(others) == len(self._ports) - 1

    def _sentinel(self, *command: object) -> object:
        with redis.Redis("127.0.0.1", self._ports[0], protocol=2, retry=ONCE) as client:
            return client.execute_command("SENTINEL", *command)


class Cluster:
    """Three primaries, with ``replicas`` a replica each; the data survives `stop` and `start`."""

    def __init__(self, binary: Path, folder: Path, *, replicas: bool = False) -> None:
        config = ("cluster-enabled yes", "cluster-node-timeout 1000", "repl-diskless-sync-delay 0")
        self.nodes = []
        for number in range(6 if replicas else 3):
            place = partial(RedisServer, binary=binary, data_dir=folder / str(number), config=config)
            self.nodes.append(clustered(place))
        self.primaries = self.nodes[:3]
        share = 16384 // 3 + 1
        for number, node in enumerate(self.primaries):
            ask(node, "CLUSTER", "ADDSLOTS", *range(number * share, min((number + 1) * share, 16384)))
        for number, node in enumerate(self.nodes):
            ask(node, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            ask(self.nodes[0], "CLUSTER", "MEET", node.host, node.port)
        until(lambda: all(self._knows_all(node) for node in self.nodes))
        for primary, replica in zip(self.primaries, self.nodes[3:], strict=False):
            ask(replica, "CLUSTER", "REPLICATE", self._id(primary))
        until(self._is_ok)
        until(lambda: all(Sentinels.is_in_sync(replica) for replica in self.nodes[3:]))

    @property
    def endpoint(self) -> str:
        return f"cluster://{','.join(node.endpoint for node in self.nodes[:3])}"

    def owner_of(self, key: str) -> RedisServer:
        """The primary that holds ``key``."""
        for node in self.nodes:
            try:
                ask(node, "EXISTS", key)
            except redis.RedisError:
                continue
            return node
        raise AssertionError(f"nobody holds {key}")

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        until(self._is_ok)

    def _is_ok(self) -> bool:
        return all("cluster_state:ok" in str(self._info(node)) for node in self.nodes)

    def _info(self, node: RedisServer) -> object:
        with redis.Redis(node.host, node.port, protocol=2, retry=ONCE) as client:
            client.set_response_callback("CLUSTER INFO", lambda reply: reply)
            return client.execute_command("CLUSTER INFO")

    def _knows_all(self, node: RedisServer) -> bool:
        return f"cluster_known_nodes:{len(self.nodes)}" in str(self._info(node))

    @staticmethod
    def _id(node: RedisServer) -> object:
        return ask(node, "CLUSTER", "MYID")


def clustered(server_at: Callable[[int], RedisServer]) -> RedisServer:
    """Start the member of a cluster that ``server_at`` makes of its port, where nobody uses that.

    The bus of the cluster takes the port 10000 above. Both are below those that systems give to
    connections; another server may take one first all the same, so one that is in use is no failure.
    """
    while True:
        server = server_at(random.randint(10000, 19999))
        try:
            server.start()
        except RuntimeError as error:
            if "in use" not in str(error):
                raise
        else:
            return server
