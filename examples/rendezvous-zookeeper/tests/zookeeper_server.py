"""A ZooKeeper server of one's own, started and stopped by the tests."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

DEBIAN = Path("/usr/share/java/zookeeper.jar")

ADVICE = (
    "There is no ZooKeeper to test with. Either install one (on Debian and its children: "
    "apt-get install --no-install-recommends zookeeper default-jre-headless), or unpack a release and set "
    "ZOOKEEPER_HOME to its folder (needs java), or set ZOOKEEPER_ENDPOINT=host:port to a running server "
    "that may be filled with test data."
)


def classpath() -> str | None:
    """Where the classes of the server are, if they are here."""
    if not shutil.which("java"):
        return None
    if home := os.environ.get("ZOOKEEPER_HOME"):
        return f"{home}/lib/*:{home}/*"
    return str(DEBIAN) if DEBIAN.exists() else None


class ZookeeperServer:
    """A server of one node, whose data outlives its restarts, on a free port of this host."""

    def __init__(self, classes: str, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as reserved:
            self.port = int(reserved.getsockname()[1])
        self._log = folder / "zookeeper.log"
        config = folder / "zoo.cfg"
        config.write_text(
            f"dataDir={folder / 'data'}\nclientPort={self.port}\nclientPortAddress=127.0.0.1\n"
            "tickTime=500\nmaxClientCnxns=0\nadmin.enableServer=false\n4lw.commands.whitelist=srvr\n"
        )
        self._command = [
            "java",
            *("-cp", classes, "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
            # Nobody pulls the plug of the machine here, so that no write needs to wait for the disk.
            *("-Dzookeeper.forceSync=no", "-Dzookeeper.preAllocSize=1024", "-Djava.awt.headless=true"),
            *("org.apache.zookeeper.server.ZooKeeperServerMain", str(config)),
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        if self._process is None:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
            self._await_readiness(self._process)

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def _await_readiness(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 60
        while not self._is_alive():
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise RuntimeError(f"ZooKeeper does not start:\n{self._log.read_text()[-4000:]}")
            time.sleep(0.02)

    def _is_alive(self) -> bool:
        try:
            # A server that is just starting may take a connection and never answer it.
            with socket.create_connection(("127.0.0.1", self.port), timeout=0.5) as connection:
                connection.sendall(b"srvr")
                return b"Mode: " in b"".join(iter(lambda: connection.recv(4096), b""))
        except OSError:
            return False
