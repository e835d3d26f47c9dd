"""The data of one run on one server, as backend and store share them."""

from secrets import token_hex

from redis.exceptions import ResponseError

from rendezvous_redis._client import Client
from rendezvous_redis._keys import Keys, keys_of, tag_of
from rendezvous_redis._link import Link
from rendezvous_redis._options import RedisOptions
from rendezvous_redis._replies import pairs, text
from rendezvous_redis._scripts import CHECK
from rendezvous_redis._target import parse_target

_PATIENCE = 5.0


class RedisRun:
    """A run on a Redis server, behind Sentinels, or on a cluster: what backend and store are made of.

    Opening it waits ``connect_timeout`` seconds for a server, or its name, that is not there yet, and says
    so in the log. It does once all that will be asked of the server, so that a wrong endpoint, wrong
    credentials and missing permissions are told at once.

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
        self._tag = tag_of(options.key_prefix, run_id)
        self.keys: Keys = keys_of(self._tag)
        self.ttl = round(options.ttl * 1000)
        """Milliseconds after which the keys expire."""
        self.view_ttl = options.ttl if options.view_ttl is None else options.view_ttl
        """Seconds after which a view of the store that no node holds is forgotten."""
        self.patience = options.read_timeout
        """Seconds for which the store tries to reach the server."""
        self.short_patience = min(_PATIENCE, options.read_timeout)
        """The same for the backend, whose callers go on trying by themselves."""
        self.views: dict[object, str] = {}
        """The prefixes of the store's views that this process holds; see `RedisStore.view`."""
        self.client = Client(parse_target(endpoint, options), self._tag, self.short_patience / 2)
        try:
            self.client.run(self._check, options.connect_timeout, tells=True)
        except BaseException:
            self.client.close()
            raise

    def close(self) -> None:
        """Release all connections. Calls under way, and later ones, raise `RendezvousConnectionError`."""
        self.client.close()

    def _check(self, link: Link) -> None:
        """Raise what the server refuses, now rather than in the middle of a round."""
        name = token_hex(8)
        keys = (*self.keys, *(f"{self._tag}:check:{name}:{number}" for number in range(4)))
        refused, _ = link.exchange(
            ("EVAL", CHECK.source, len(keys), *keys, self.ttl),
            ("EVALSHA", CHECK.sha, 0),
        )
        replies = {
            command: reply
            for command, reply in pairs(text, text)(refused).items()
            if "OOM" not in reply  # who only looks needs no memory; writes tell
        }
        if replies:
            raise ResponseError(f"{', '.join(replies)}: {next(iter(replies.values()))}")
