"""Plugins: found by entry point, loaded one at a time, asked through their hooks."""

import logging
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import pluggy

from rendezvous_core.plugins import hookspecs as _hookspecs
from rendezvous_core.plugins.hookspecs import PROJECT, RankCandidate, RendezvousEvent, RendezvousSeat
from rendezvous_core.ports.errors import RendezvousConnectionError, RendezvousError, RendezvousTimeoutError
from rendezvous_core.ports.options import Option
from rendezvous_core.ports.parameters import RendezvousParameters
from rendezvous_core.ports.settings import HANDLER_OPTIONS
from rendezvous_core.ports.store import Store

if TYPE_CHECKING:
    from importlib_metadata import EntryPoint

BACKENDS = "rendezvous.backends"
PLUGINS = "rendezvous.plugins"
STORES = "rendezvous.stores"
EXPORTS = "rendezvous.exports"

_ADAPTERS = {"torch": "rendezvous-c10d"}
"""Which distribution knows the stores of a package."""

LOG_PREFIX = "rdzv_"
"""Before the name of each field that the log's records have beside the text."""

_PLAIN = (str, int, float, bool, type(None))

_T = TypeVar("_T")
_logger = logging.getLogger("rendezvous_core")


class RendezvousPluginError(RendezvousError, RuntimeError):
    """A plugin cannot be loaded, is claimed twice, or breaks the contract of its hooks.

    Attributes:
        name: the backend's or plugin's name.
        distribution: name and version of the distribution that provides it, where it is known.
    """

    def __init__(self, message: str, name: str = "", distribution: str | None = None) -> None:
        super().__init__(message)
        self.name = name
        self.distribution = distribution


class InstalledBackend(NamedTuple):
    """A backend as its distribution declares it; nothing of it has been imported."""

    name: str
    distribution: str
    version: str


class Plugin:
    """A loaded plugin.

    Each has a pluggy manager of its own: nothing that another thread loads meanwhile can answer in
    its place, and a plugin that fails validation leaves nothing behind.

    Raises:
        RendezvousPluginError: it is no module or instance, or its hooks do not fit the
            specifications.
    """

    def __init__(self, name: str, group: str, distribution: str, value: object) -> None:
        self.name = name
        self.group = group
        self.distribution = distribution
        self.value = value
        if value is None or isinstance(value, type):
            raise self.error(f"is {value!r}; its entry point must name a module or an instance")
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(_hookspecs)
        try:
            self._manager.register(value, name)
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise self.error(f"does not fit the hook specifications: {error}") from error

    def call(self, hook: str, expected: type[_T], /, **arguments: object) -> _T | None:
        """Call ``hook`` of this plugin alone; ``None`` where it has no such hook or no answer."""
        result = getattr(self._manager.hook, hook)(**arguments)
        if result is not None and not isinstance(result, expected):
            raise self.error(f"returned {result!r} from {hook}, which is no {expected.__name__}")
        return result

    def implements(self, hook: str) -> bool:
        """Whether this plugin has an implementation of ``hook``."""
        return bool(getattr(self._manager.hook, hook).get_hookimpls())

    def options(self, params: RendezvousParameters) -> tuple[Option, ...] | None:
        """Return all options that somebody reads from ``params``; ``None`` where the plugin does not say."""
        declared = self.call("rendezvous_options", Sequence, params=params)
        if declared is None:
            return None
        options = (*declared, *(HANDLER_OPTIONS if self.implements("rendezvous_backend") else ()))
        names = Counter(name for option in options for name in getattr(option, "names", (None,)))
        if wrong := [name for name, times in names.items() if name is None or times > 1]:
            problem = f"declares the option '{wrong[0]}' twice" if wrong[0] else f"declares {declared!r}"
            raise self.error(f"{problem}; rendezvous_options returns each Option once, without the handler's")
        return options

    def error(self, problem: str) -> RendezvousPluginError:
        return _error(self.group, self.name, self.distribution, problem)


_lock = threading.Lock()
_resolved: dict[str, Plugin] = {}
_loaded: tuple[Plugin, ...] = ()
_plugins_loaded = False


def installed_backends() -> list[InstalledBackend]:
    """List what the installed distributions declare, by name, without importing any of it."""
    return sorted(
        InstalledBackend(point.name, point.dist.name, point.dist.version)
        for point in _entry_points(BACKENDS)
        if point.dist
    )


def load_backend(name: str) -> Plugin | None:
    """Load the plugin that claims the backend ``name``, and no other; ``None`` where none does.

    Raises:
        RendezvousPluginError: two distributions claim the name, or the plugin cannot be loaded.
    """
    if name not in _resolved:
        claims = [point for point in _entry_points(BACKENDS) if point.name == name]
        if not claims:
            return None
        if len(claims) > 1:
            owners = " and ".join(sorted(_distribution(point) for point in claims))
            raise RendezvousPluginError(
                f"The rendezvous backend '{name}' is claimed by {owners}; uninstall all but one.",
                name,
                owners,
            )
        _resolved[name] = _load(claims[0])
    return _resolved[name]


def load_plugins() -> None:
    """Load the observers and rank policies that belong to no backend, once per process.

    Raises:
        RendezvousPluginError: one of them cannot be loaded.
    """
    global _plugins_loaded
    if not _plugins_loaded:
        for point in _entry_points(PLUGINS):
            _load(point)
        _plugins_loaded = True


def load_export(name: str) -> None:
    """Load what a framework wants in the environment of its processes.

    Raises:
        ValueError: nobody knows the framework; names those that are known.
        RendezvousPluginError: it cannot be loaded.
    """
    points = {point.name: point for point in _entry_points(EXPORTS)}
    if name not in points:
        raise ValueError(f"Nobody exports variables for {name!r}; there are: {', '.join(sorted(points))}.")
    _load(points[name])


def environment_of(seat: RendezvousSeat) -> dict[str, str]:
    """Return what all plugins want in the environment of a command.

    Raises:
        RendezvousTimeoutError, RendezvousConnectionError: see the hook `rendezvous_environment`.
        RendezvousPluginError: a plugin has failed, or returned something else.
    """
    environment: dict[str, str] = {}
    for plugin in _loaded:
        try:
            for wanted in plugin.call("rendezvous_environment", list, seat=seat) or ():
                environment.update({str(name): str(value) for name, value in dict(wanted).items()})
        except (RendezvousTimeoutError, RendezvousConnectionError, RendezvousPluginError):
            raise
        except Exception as error:
            problem = f"failed in rendezvous_environment: {type(error).__name__}: {error}"
            raise plugin.error(problem) from error
    return environment


def adapt_store(store: object) -> Store:
    """Return ``store`` if it is one of ours, else as one of ours: see the hook `rendezvous_adapt_store`.

    Raises:
        TypeError: nobody knows such a store; names what to install where that is known.
        RendezvousPluginError: who should know it cannot be loaded.
    """
    if isinstance(store, Store):
        return store
    packages = {each.__module__.partition(".")[0] for each in type(store).__mro__}
    for point in _entry_points(STORES):
        if point.name in packages:
            adapted = _load(point).call("rendezvous_adapt_store", Store, store=store)
            if adapted is not None:
                return adapted
    missing = [distribution for package, distribution in _ADAPTERS.items() if package in packages]
    remedy = f"for one of another package: pip install {missing[0]}" if missing else "or have a plugin for it"
    raise TypeError(f"The store ({store!r}) must be a rendezvous_core.Store, {remedy}.")


def emit(event: RendezvousEvent) -> None:
    """Log ``event``, as a warning where something is missing, and tell all observers.

    Their exceptions are logged and go no further.

    To be called outside the main thread: an exception that a signal handler raises there must not
    be taken for an observer's.
    """
    is_missed = event.kind in ("disconnected", "waiting") or event.details.get("reason") == "lost"
    level = logging.WARNING if is_missed else logging.INFO
    if _logger.isEnabledFor(level):
        _logger.log(level, "Run %s: %s", event.run_id, event.message, extra=_log_fields(event))
    for plugin in _loaded:
        try:
            plugin.call("rendezvous_event", list, event=event)
        except Exception:
            _logger.exception("The rendezvous observer '%s' of %s failed.", plugin.name, plugin.distribution)


def _log_fields(event: RendezvousEvent) -> dict[str, object]:
    """What formatters find in the record of ``event``: plain values, by names that are nobody else's."""
    named = {**event.details, **{each.name: getattr(event, each.name) for each in fields(event)}}
    named["event"] = named.pop("kind")
    del named["details"]
    return {
        f"{LOG_PREFIX}{name}": value if isinstance(value, _PLAIN) else str(value)
        for name, value in named.items()
    }


def assign_ranks(members: Sequence[RankCandidate], previous: Sequence[str]) -> Sequence[str] | None:
    """Ask the rank policies for the order of ``members``; ``None`` where none decides.

    A policy that fails, or returns anything but an order of the members, is logged and passed over.
    """
    nodes = sorted(member.node for member in members)
    for plugin in _loaded:
        try:
            order = plugin.call("rendezvous_assign_ranks", Sequence, members=members, previous=previous)
            if order is None:
                continue
            if sorted(order) != nodes:
                raise plugin.error(f"ranked {list(order)}, which is no order of the members {nodes}")
            return order
        except Exception:
            _logger.exception("The rank policy '%s' of %s failed.", plugin.name, plugin.distribution)
    return None


def _entry_points(group: str) -> "Sequence[EntryPoint]":
    from importlib_metadata import entry_points

    return list(entry_points(group=group))


def _load(point: "EntryPoint") -> Plugin:
    global _loaded
    # Imported outside the lock: a module may use the registry while it is being imported.
    try:
        value = point.load()
    except Exception as error:
        problem = f"failed to import: {type(error).__name__}: {error}"
        raise _error(point.group, point.name, _distribution(point), problem) from error
    with _lock:
        for plugin in _loaded:
            if plugin.value is value:
                return plugin
        plugin = Plugin(point.name, point.group, _distribution(point), value)
        _loaded = tuple(sorted((*_loaded, plugin), key=lambda each: (each.group != PLUGINS, each.name)))
        return plugin


def _distribution(point: "EntryPoint") -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown distribution"


def _error(group: str, name: str, distribution: str, problem: str) -> RendezvousPluginError:
    kind = "backend" if group == BACKENDS else "plugin"
    return RendezvousPluginError(
        f"The rendezvous {kind} '{name}' of {distribution} {problem}.", name, distribution
    )
