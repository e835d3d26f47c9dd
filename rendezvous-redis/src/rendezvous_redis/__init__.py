"""Elastic rendezvous over Redis or Valkey: single server, Sentinel or Cluster."""

from rendezvous_redis._backend import RedisRendezvousBackend
from rendezvous_redis._options import RedisOptions
from rendezvous_redis._run import RedisRun
from rendezvous_redis._server import RedisServer
from rendezvous_redis._store import RedisStore
from rendezvous_redis.plugin import create_backend

__all__ = [
    "RedisOptions",
    "RedisRendezvousBackend",
    "RedisRun",
    "RedisServer",
    "RedisStore",
    "create_backend",
]
