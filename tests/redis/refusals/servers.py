"""What Redis refuses."""

import threading
from contextlib import suppress
from functools import partial

import redis

from rendezvous_core.ports.serving import free_port
from rendezvous_redis import RedisRendezvousBackend, RedisServer, RedisStore
from tests.redis.groups import Cluster, ask, clustered, until
from tests.redis.refusals.scene import OPEN, PASSWORD, Scene, in_namespace, says
from tests.redis.servers import server_of


@says(r"protected mode")
def protected_mode(scene: Scene) -> None:
    code = f"""{OPEN}
with RedisServer(binary={str(server_of("valkey"))!r}, config=["bind 0.0.0.0"]) as server:
    tell(f"10.9.9.9:{{server.port}}")
"""
    there = "ip link set lo up && ip address add 10.9.9.9/32 dev lo"
    in_namespace(code, "--user", "--map-root-user", "--net", before=there)


@says(r"\bNOAUTH\b|Authentication required|unauthenticated")
def no_password(scene: Scene) -> None:
    scene.open(scene.server(password=PASSWORD).endpoint)


@says(r"without any password configured|no password is set")
def password_not_needed(scene: Scene) -> None:
    scene.open(scene.server().endpoint, password=PASSWORD)


@says(r"\bWRONGPASS\b|invalid password|wrong number of arguments for 'auth'")
def wrong_password(scene: Scene) -> None:
    scene.open(scene.server(password=PASSWORD).endpoint, password="wrong")


@says(r"\bNOPERM\b|no permissions|can't run this command|can't access at least one")
def no_permission(scene: Scene) -> None:
    server = scene.server()
    ask(server, "ACL", "SETUSER", "node", "on", f">{PASSWORD}", "~*", "+@all", "-xadd")
    scene.open(server.endpoint, user="node", password=PASSWORD)


@says(r"unknown command .SENTINEL")
def no_sentinel(scene: Scene) -> None:
    scene.open(f"sentinel://{scene.server().endpoint}/main")


@says(r"(?i)unknown (redis )?command|unsupported command")
def unknown_command(scene: Scene) -> None:
    scene.open(scene.server('rename-command EVAL ""').endpoint)


@says(r"max number of clients")
def too_many_clients(scene: Scene) -> None:
    server = scene.server("maxclients 1")
    other = scene.stack.enter_context(redis.Redis(port=server.port))
    other.ping()
    scene.open(server.endpoint)


@says(r"\bWRONGTYPE\b")
def wrong_type(scene: Scene) -> None:
    server = scene.server()
    run = scene.open(server.endpoint)
    ask(server, "SET", run.keys.state, "foreign")
    RedisRendezvousBackend(run).get_state()


@says(r"\bOOM\b")
def out_of_memory(scene: Scene) -> None:
    server = scene.server()
    store = RedisStore(scene.open(server.endpoint))
    ask(server, "CONFIG", "SET", "maxmemory", 1)
    store.set("key", b"value")


@says(r"\bMISCONF\b")
def cannot_persist(scene: Scene) -> None:
    folder = scene.folder / "gone"
    folder.mkdir()
    server = scene.server("save 3600 1", f"dir {folder}")
    folder.rmdir()
    ask(server, "BGSAVE")
    until(lambda: info(server, "persistence")["rdb_last_bgsave_status"] == "err")
    scene.open(server.endpoint)


@says(r"invalid bulk length|invalid multibulk length|exceeds maximum allowed|max request size")
def too_large(scene: Scene) -> None:
    server = scene.server("proto-max-bulk-len 1mb")
    # So large that the server hangs up in the middle.
    RedisStore(scene.open(server.endpoint)).set("key", bytes(20 << 20))


@says(r"DB index|SELECT is not allowed")
def no_such_database(scene: Scene) -> None:
    scene.open(scene.server().endpoint, db=99)


@says(r"cluster support disabled")
def no_cluster(scene: Scene) -> None:
    scene.open(f"cluster://{scene.server().endpoint}")


@says(r"\bREADONLY\b|read only replica")
def replica(scene: Scene) -> None:
    primary = scene.server()
    scene.open(scene.server(f"replicaof 127.0.0.1 {primary.port}").endpoint)


@says(r"\bLOADING\b|loading the dataset")
def loading(scene: Scene) -> None:
    server = scene.server(
        "enable-debug-command yes", "key-load-delay 500", "loading-process-events-interval-bytes 1024"
    )
    with redis.Redis(port=server.port) as client:
        client.mset({f"key{number}": "value" for number in range(20_000)})
        reloading = threading.Thread(target=reload, args=(server,), daemon=True)
        reloading.start()
    try:
        until(lambda: info(server, "persistence")["loading"] == 1)
        scene.open(server.endpoint)
    finally:
        ask(server, "CONFIG", "SET", "key-load-delay", 0)
        reloading.join()


def reload(server: RedisServer) -> None:
    with redis.Redis(port=server.port) as client:
        client.execute_command("DEBUG", "RELOAD")


@says(r"\bMASTERDOWN\b")
def without_primary(scene: Scene) -> None:
    server = scene.server(f"replicaof 127.0.0.1 {free_port()}", "replica-serve-stale-data no")
    scene.open(server.endpoint)


@says(r"\bNOREPLICAS\b")
def too_few_replicas(scene: Scene) -> None:
    scene.open(scene.server("min-replicas-to-write 1").endpoint)


@says(r"\bBUSY\b")
def busy(scene: Scene) -> None:
    server = scene.server("lua-time-limit 10")
    run = scene.open(server.endpoint)
    looping = threading.Thread(target=loop, args=(server,), daemon=True)
    looping.start()
    until(lambda: is_busy(server))
    try:
        RedisStore(run).num_keys()
    finally:
        ask(server, "SCRIPT", "KILL")
        looping.join()


def loop(server: RedisServer) -> None:
    with suppress(redis.RedisError), redis.Redis(port=server.port) as client:
        client.eval("while true do end", 0)


def is_busy(server: RedisServer) -> bool:
    try:
        ask(server, "PING")
    except redis.ResponseError:
        return True
    return False


@says(r"\bUNBLOCKED\b")
def unblocked(scene: Scene) -> None:
    server = scene.server()
    link = scene.link(server)
    (number,) = link.exchange(("CLIENT", "ID"))
    link.send(("XREAD", "BLOCK", 0, "STREAMS", "stream", "$"))
    until(lambda: ask(server, "CLIENT", "UNBLOCK", number, "ERROR"))
    link.read()


@says(r"\bCLUSTERDOWN\b")
def cluster_down(scene: Scene) -> None:
    place = partial(RedisServer, binary=server_of(scene.variant), config=["cluster-enabled yes"])
    scene.open(scene.stack.enter_context(clustered(place)).endpoint)


def cluster(scene: Scene) -> Cluster:
    cluster = Cluster(server_of(scene.variant), scene.folder)
    scene.stack.callback(cluster.stop)
    return cluster


@says(r"\b(ASK|TRYAGAIN)\b")
def moving_slot(scene: Scene) -> None:
    nodes = cluster(scene)
    run = scene.open(nodes.endpoint)
    source = nodes.owner_of(run.keys.state)
    target = next(node for node in nodes.primaries if node is not source)
    slot = ask(source, "CLUSTER", "KEYSLOT", run.keys.state)
    ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", ask(source, "CLUSTER", "MYID"))
    ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", ask(target, "CLUSTER", "MYID"))
    RedisStore(run).num_keys()


@says(r"\bMOVED\b")
def moved_slot(scene: Scene) -> None:
    nodes = cluster(scene)
    other = next(node for node in nodes.primaries if node is not nodes.owner_of("key"))
    scene.link(other).exchange(("GET", "key"))


def info(server: RedisServer, section: str) -> dict[str, object]:
    return dict_of(ask(server, "INFO", section))


def dict_of(reply: object) -> dict[str, object]:
    assert isinstance(reply, dict)
    return {key.decode() if isinstance(key, bytes) else key: value for key, value in reply.items()}
