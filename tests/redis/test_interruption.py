"""Calls over Redis, interrupted at every line."""

import pytest

from rendezvous_redis import RedisServer
from tests.interruption.suite import CreateHandler, Interruptions, creator


class TestRedis(Interruptions):
    @pytest.fixture(scope="class")
    @classmethod
    def create(cls, shared_server: RedisServer) -> CreateHandler:
        return creator("redis", shared_server.endpoint)
