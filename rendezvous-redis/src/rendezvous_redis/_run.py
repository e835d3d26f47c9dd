"""The data of one run on one server, as backend and store share them."""

from rendezvous_redis._client import Client
from rendezvous_redis._keys import Keys, keys_of, tag_of
from rendezvous_redis._options import RedisOptions
from rendezvous_redis._scripts import REFRESH
from rendezvous_redis._target import parse_target

_ANSWER = 5.0


class RedisRun:
    """A run on a Redis server, behind Sentinels, or on a cluster: what backend and store are made of.

    Opening it asks the server something, so that a wrong endpoint, wrong credentials and missing
    permissions are told at once.

    Args:
        endpoint: the server, in one of the forms that the README lists.
        run_id: the run; runs on one server know nothing of each other.
        options: credentials, TLS, expiry and the like.

    Raises:
        ValueError: the endpoint is wrong, or the run id is empty.
        RendezvousConnectionError: the server cannot be reached.
        RendezvousStateError: it refuses the credentials or a command.
    """

    def __init__(self, endpoint: str, run_id: str, options: RedisOptions | None = None) -> None:
        options = options or RedisOptions()
        tag = tag_of(options.key_prefix, run_id)
        self.keys: Keys = keys_of(tag)
        self.ttl = round(options.ttl * 1000)
        """Milliseconds after which the keys expire."""
        self.patience = options.read_timeout
        """Seconds for which the store tries to reach the server."""
        self.short_patience = min(_ANSWER, options.read_timeout)
        """The same for the backend, whose callers go on trying by themselves."""
        self.views: dict[object, str] = {}
        """The prefixes of the store's views that this process holds; see `RedisStore.view`."""
        self.client = Client(parse_target(endpoint, options), tag, self.short_patience / 2)
        try:
            self.client.call_script(REFRESH, self.keys, self.ttl, patience=self.short_patience)
        except BaseException:
            self.client.close()
            raise

    def close(self) -> None:
        """Release all connections. Calls under way, and later ones, raise `RendezvousConnectionError`."""
        self.client.close()
