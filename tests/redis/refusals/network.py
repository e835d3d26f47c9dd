"""What the network refuses, and what is no Redis."""

import socket
import threading
from typing import NoReturn

from rendezvous_core.ports.serving import free_port
from rendezvous_core.testing import Proxy
from tests.redis.refusals.scene import OPEN, Scene, in_namespace, says


@says(r"Name or service not known|Name does not resolve|nodename nor servname|No address associated")
def unknown_name(scene: Scene) -> None:
    fail_to_resolve(scene, socket.EAI_NONAME, "Name or service not known")


@says(r"name resolution")
def no_name_server(scene: Scene) -> None:
    fail_to_resolve(scene, socket.EAI_AGAIN, "Temporary failure in name resolution")


def fail_to_resolve(scene: Scene, number: int, text: str) -> None:
    """As name servers are not at a test's command, this is what the system says instead of them."""

    def resolve(*_: object, **__: object) -> NoReturn:
        raise socket.gaierror(number, text)

    scene.patch.setattr(socket, "getaddrinfo", resolve)
    scene.open("redis.test")


@says(r"Too many open files")
def no_more_files(scene: Scene) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))"
    in_namespace(f"{OPEN}\n{limit}\ntell('{scene.server().endpoint}')", "--user")


@says(r"Connection refused")
def nobody(scene: Scene) -> None:
    scene.open(f"127.0.0.1:{free_port()}")


@says(r"No such file or directory")
def no_socket(scene: Scene) -> None:
    scene.open(f"unix://{scene.folder}/redis.sock")


@says(r"Permission denied")
def closed_socket(scene: Scene) -> None:
    path = scene.folder / "redis.sock"
    scene.server(f"unixsocket {path}", "unixsocketperm 000")
    path.chmod(0)
    in_namespace(f"{OPEN}\ntell('unix://{path}')", "--user")


@says(r"No route to host|Network is unreachable")
def no_way(scene: Scene) -> None:
    in_namespace(f"{OPEN}\ntell('10.9.9.9')", "--user", "--map-root-user", "--net")


@says(r"Timeout connecting")
def no_answer(scene: Scene) -> None:
    listener = scene.stack.enter_context(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    for _ in range(8):  # until its backlog is full
        caller = scene.stack.enter_context(socket.socket())
        caller.setblocking(False)
        caller.connect_ex(listener.getsockname())
    scene.open(f"127.0.0.1:{listener.getsockname()[1]}")


@says(r"hangs up")
def nobody_behind_the_proxy(scene: Scene) -> None:
    proxy = scene.stack.enter_context(Proxy("127.0.0.1", free_port()))
    scene.open(proxy.endpoint)


@says(r"Protocol [Ee]rror")
def no_redis(scene: Scene) -> None:
    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(100)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    listener = scene.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    threading.Thread(target=answer, daemon=True).start()
    scene.open(f"127.0.0.1:{listener.getsockname()[1]}")
