"""Connections of urllib3 that do not idle for long: what drops them on the way tells nobody."""

import time
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool

IDLE = 15.0
"""Seconds after which an idle connection is closed: well below what middleboxes forget connections after."""


class _Aging:
    """Mixed into a pool of connections."""

    pool: Any

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection = super()._get_conn(timeout)  # type: ignore[misc]
        _close_if_old(connection)
        return connection

    def _put_conn(self, connection: Any) -> None:
        if connection is not None:
            connection.idle_since = time.monotonic()
        pool = self.pool
        if pool is not None:
            with pool.mutex:  # nobody takes one meanwhile
                for each in pool.queue:
                    _close_if_old(each)
        super()._put_conn(connection)  # type: ignore[misc]


class AgingPool(_Aging, HTTPConnectionPool):
    """Without TLS."""


class AgingTlsPool(_Aging, HTTPSConnectionPool):
    """With TLS."""


POOLS = {"http": AgingPool, "https": AgingTlsPool}
"""For ``urllib3.PoolManager.pool_classes_by_scheme``."""


def _close_if_old(connection: Any) -> None:
    # A closed one is opened again when it is used.
    if connection is not None and time.monotonic() - getattr(connection, "idle_since", float("inf")) > IDLE:
        connection.close()
