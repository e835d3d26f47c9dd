"""From the name of a backend to its handler, its backend and its store."""

import logging
import os
from collections.abc import Callable

from rendezvous_core.plugins.loading import (
    Plugin,
    RendezvousPluginError,
    installed_backends,
    load_backend,
    load_plugins,
)
from rendezvous_core.ports.backend import MembershipBackend, RendezvousBackend
from rendezvous_core.ports.handler import RendezvousHandler
from rendezvous_core.ports.options import Option, check_options
from rendezvous_core.ports.parameters import RendezvousParameters
from rendezvous_core.ports.redaction import redact
from rendezvous_core.ports.runs import Runs
from rendezvous_core.ports.settings import HANDLER_OPTIONS, SEAL_STORE, SEALING, SECRET
from rendezvous_core.ports.spelling import nearest
from rendezvous_core.ports.store import Store

RendezvousHandlerCreator = Callable[[RendezvousParameters], RendezvousHandler]

PROVIDERS = {
    "redis": "rendezvous-redis",
    "etcd": "rendezvous-etcd",
    "etcd-v2": "rendezvous-etcd",
    "etcd-v3": "rendezvous-etcd",
    "c10d": "rendezvous-c10d",
}
SCHEMES = {
    **dict.fromkeys(("redis", "rediss", "unix", "sentinel", "cluster"), "redis"),
    **{"etcd": "etcd-v3", "http": "etcd-v3", "https": "etcd-v3", "tcp": "c10d", "file": "sqlite"},
}
"""Whom a scheme of an endpoint means; of those that we know, only redis has endpoints with schemes."""

_logger = logging.getLogger("rendezvous_core")


class UnknownBackendError(RendezvousPluginError, ValueError):
    """No installed distribution provides the backend; the message says what is installed."""


class WholeHandlerError(RendezvousPluginError, ValueError):
    """The backend builds whole handlers and opens nothing that could be looked at."""


class RendezvousHandlerRegistry:
    """Creates handlers by the name of their backend.

    A name is that of an entry point in the group ``rendezvous.backends`` of any installed
    distribution, or one that `register` was called with. May be used from several threads.
    """

    def __init__(self) -> None:
        self._creators: dict[str, RendezvousHandlerCreator] = {}

    def register(self, backend: str, creator: RendezvousHandlerCreator) -> None:
        """Let ``creator`` build the handlers of ``backend``, unless a distribution claims that name.

        Raises:
            ValueError: the name is empty, or registered with another creator.
        """
        if not backend:
            raise ValueError(f"The rendezvous backend name ({backend!r}) must be a non-empty string.")
        present = self._creators.setdefault(backend, creator)
        if present != creator:
            raise ValueError(
                f"The rendezvous backend '{backend}' cannot be registered with '{creator}' as it is "
                f"already registered with '{present}'."
            )

    def create_handler(self, params: RendezvousParameters) -> RendezvousHandler:
        """Create the handler of the run that ``params`` describe.

        Imports the plugin of that backend and no other; with the first handler also the plugins
        that belong to no backend.

        Raises:
            UnknownBackendError: nobody provides the backend.
            RendezvousPluginError: a plugin cannot be loaded, is claimed twice, or breaks its contract.
            ValueError: an option or the endpoint is wrong.
            RendezvousConnectionError: the backend cannot be reached.
        """
        load_plugins()
        name = params.backend
        plugin = load_backend(name)
        creator = self._creators.get(name)
        if plugin is not None:
            if creator is not None:
                _logger.warning(
                    "The rendezvous backend '%s' comes from %s; '%s', registered in code, is not used.",
                    name,
                    plugin.distribution,
                    creator,
                )
            declared = _check_options(plugin, params)
            if declared is None:
                _warn_of_misspelt(plugin, params)
            handler = plugin.call("rendezvous_handler", RendezvousHandler, params=params)
            if handler is None:
                handler = _dynamic_handler(plugin, params)
        elif creator is not None:
            handler = creator(params)
            if not isinstance(handler, RendezvousHandler):
                raise RendezvousPluginError(f"'{creator}' returned {handler!r}, which is no handler.", name)
        else:
            raise _unknown(name)
        _check_name(name, handler.get_backend(), plugin)
        return handler


rendezvous_handler_registry = RendezvousHandlerRegistry()
"""The registry that `get_rendezvous_handler` and the command line use."""


def get_rendezvous_handler(params: RendezvousParameters) -> RendezvousHandler:
    """Create a handler with the global registry; see `RendezvousHandlerRegistry.create_handler`."""
    return rendezvous_handler_registry.create_handler(params)


def create_backend(params: RendezvousParameters) -> MembershipBackend:
    """Open the backend of a run without taking part in it; the caller closes it.

    Raises as `RendezvousHandlerRegistry.create_handler`; `WholeHandlerError` where the plugin builds
    a whole handler instead.
    """
    plugin = _plugin(params.backend)
    if plugin.implements("rendezvous_handler") and not plugin.implements("rendezvous_backend"):
        raise WholeHandlerError(
            f"The rendezvous backend '{plugin.name}' of {plugin.distribution} builds whole handlers and "
            "opens no backend: it can be joined, not looked at.",
            plugin.name,
            plugin.distribution,
        )
    _check_options(plugin, params)
    return _open_backend(plugin, params)


def create_store(params: RendezvousParameters, backend: MembershipBackend) -> Store:
    """Open the shared store of a run; ``backend`` is what `create_backend` returned.

    Raises as `RendezvousHandlerRegistry.create_handler`.
    """
    return _open_store(_plugin(params.backend), params, backend)


def open_runs(params: RendezvousParameters) -> Runs:
    """Open all runs at ``params.endpoint``, whatever the run id of ``params`` is; the caller closes them.

    Raises as `RendezvousHandlerRegistry.create_handler`; `RendezvousPluginError` also where the plugin
    cannot list its runs.
    """
    plugin = _plugin(params.backend)
    _check_options(plugin, params)
    runs = plugin.call("rendezvous_runs", Runs, params=params)
    if runs is None:
        raise plugin.error("does not list its runs, nor remove one: it has no hook rendezvous_runs")
    return runs


def backend_of(endpoint: str) -> str | None:
    """Return the backend that the scheme of ``endpoint`` names; ``None`` where it has no scheme.

    Raises:
        ValueError: nobody goes by that scheme, or who does takes no URLs; says what to type.
    """
    scheme, separator, _ = endpoint.strip().partition("://")
    if not separator:
        return None
    name = SCHEMES.get(scheme, scheme)
    installed = {backend.name for backend in installed_backends()}
    if name == "redis" or (name in installed and name not in (*PROVIDERS, "sqlite", "static")):
        return name
    shown = redact(endpoint.strip())
    if name in PROVIDERS or name in installed:
        raise ValueError(
            f"The endpoint {shown!r} has a scheme, and the backend '{name}' takes none: "
            f"--backend {name} --endpoint {shown.partition('://')[2]}"
        )
    raise ValueError(
        f"The endpoint {shown!r} has the scheme of no backend; name the one it is for with --backend. "
        f"Installed backends: {', '.join(sorted(installed)) or 'none'}."
    )


def backend_options(params: RendezvousParameters) -> tuple[Option, ...] | None:
    """Return all options that ``params.backend`` has, those of its handler too.

    ``None`` where its plugin does not declare them: then nobody can tell which are read.

    Raises:
        UnknownBackendError: nobody provides the backend.
        RendezvousPluginError: its plugin cannot be loaded, is claimed twice, or breaks its contract.
    """
    return _plugin(params.backend).options(params)


def _check_options(plugin: Plugin, params: RendezvousParameters) -> tuple[Option, ...] | None:
    options = plugin.options(params)
    _check_sealable(plugin, params, options or ())
    if options is not None:
        params.declare({name: option.secret for option in options for name in option.names})
        check_options(params.backend, params.config, options)
    return options


def _check_sealable(plugin: Plugin, params: RendezvousParameters, options: tuple[Option, ...]) -> None:
    """Refuse a secret, given or of the environment, where the backend would not seal with it."""
    if plugin.implements("rendezvous_backend") or SECRET in options:
        return
    from rendezvous_core.sealing.keys import FILE_VARIABLE, SECRET_VARIABLE

    given = [f"the option '{each.name}'" for each in SEALING if params.config.get(each.name)]
    given += [variable for variable in (SECRET_VARIABLE, FILE_VARIABLE) if os.environ.get(variable)]
    if given:
        raise ValueError(
            f"The backend '{params.backend}' cannot seal a run with a secret, which {given[0]} asks for: "
            "leave it out, or choose another backend."
        )


def _warn_of_misspelt(plugin: Plugin, params: RendezvousParameters) -> None:
    """Say what is nearly an option of the handler, where nobody can tell whether the backend reads it."""
    known = {name for option in HANDLER_OPTIONS for name in option.names}
    for name in params.config.keys() - known:
        if near := nearest(name, known):
            _logger.warning(
                "The option '%s' of the backend '%s' may be read by nobody, as %s does not declare its "
                "options; did you mean '%s'?",
                name,
                params.backend,
                plugin.distribution,
                near,
            )


def _dynamic_handler(plugin: Plugin, params: RendezvousParameters) -> RendezvousHandler:
    from rendezvous_core.dynamic.creation import create_handler

    backend = _open_backend(plugin, params)
    try:
        return create_handler(_open_store(plugin, params, backend), backend, params)
    except BaseException:
        backend.close()
        raise


def _open_backend(plugin: Plugin, params: RendezvousParameters) -> MembershipBackend:
    from rendezvous_core.over_register.backend import with_members
    from rendezvous_core.sealing.backend import seal_backend
    from rendezvous_core.sealing.keys import find_keyring

    keyring = find_keyring(params)
    backend = plugin.call("rendezvous_backend", RendezvousBackend, params=params)
    if backend is None:
        raise plugin.error(
            f"opens no backend for '{params.backend}': it must implement rendezvous_backend, marked with "
            "hookimpl, or rendezvous_handler where only a handler is wanted"
        )
    try:
        _check_name(params.backend, backend.name, plugin)
    except BaseException:
        backend.close()
        raise
    return seal_backend(with_members(backend), keyring, params.run_id)


def _open_store(plugin: Plugin, params: RendezvousParameters, backend: MembershipBackend) -> Store:
    from rendezvous_core.sealing.backend import unsealed

    store = _open_bare_store(plugin, params, unsealed(backend))
    if not SEAL_STORE.read(params):
        return store
    from rendezvous_core.sealing.keys import find_keyring
    from rendezvous_core.sealing.store import sealed_store

    return sealed_store(store, find_keyring(params), params.run_id)


def _open_bare_store(plugin: Plugin, params: RendezvousParameters, backend: MembershipBackend) -> Store:
    from rendezvous_core.over_register.backend import RegisterBackend
    from rendezvous_core.over_register.store import RegisterStore
    from rendezvous_core.over_store.backend import StoreBackend

    returned = backend.register.backend if isinstance(backend, RegisterBackend) else backend
    store = plugin.call("rendezvous_store", Store, params=params, backend=returned)
    if store is not None:
        return store
    if isinstance(backend, StoreBackend):
        return backend.store
    if isinstance(backend, RegisterBackend):
        return RegisterStore(backend)
    raise plugin.error("provides no store: rendezvous_store must answer for a MembershipBackend")


def _plugin(name: str) -> Plugin:
    plugin = load_backend(name)
    if plugin is None:
        raise _unknown(name)
    return plugin


def _unknown(name: str) -> UnknownBackendError:
    provider = PROVIDERS.get(name)
    names = {backend.name for backend in installed_backends()}
    if provider:
        remedy = f". Install it: pip install {provider}."
    elif near := nearest(name, names | PROVIDERS.keys()):
        missing = "" if near in names else f" Install that: pip install {PROVIDERS[near]}."
        remedy = f"; did you mean '{near}'?{missing}"
    else:
        remedy = ". Is its distribution installed?"
    installed = ", ".join(sorted(names)) or "none"
    return UnknownBackendError(
        f"The rendezvous backend '{name}' is not registered{remedy} Installed backends: {installed}.", name
    )


def _check_name(asked: str, given: str, plugin: Plugin | None) -> None:
    if given != asked:
        raise RendezvousPluginError(
            f"The rendezvous backend '{given}' does not match the requested backend '{asked}'"
            f"{f' of {plugin.distribution}' if plugin else ''}.",
            asked,
            plugin.distribution if plugin else None,
        )
