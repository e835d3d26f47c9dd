"""What to type in another terminal to see a run."""

import os
import shlex
from collections.abc import Iterator

from rendezvous_core.cli.environment import CONF, ENDPOINT
from rendezvous_core.cli.options import Target
from rendezvous_core.ports.endpoint import parse_config
from rendezvous_core.ports.options import Option
from rendezvous_core.ports.parameters import RendezvousParameters
from rendezvous_core.ports.redaction import HIDDEN, redact
from rendezvous_core.ports.settings import HANDLER_OPTIONS
from rendezvous_core.registry import backend_options


def watch_command(target: Target, params: RendezvousParameters) -> str:
    """Return the command line that watches the run of ``target``, whole but for secrets.

    Those are given by environment variables, and shown as ``***``: other users can read command lines.
    """
    words = ["rdzv", "watch", "--run-id", target.run_id]
    hidden = []
    if target.backend != "sqlite":
        words += ["--backend", target.backend]
    endpoint = target.endpoint or (
        os.environ.get("RDZV_SQLITE_PATH", "") if target.backend == "sqlite" else ""
    )
    if redact(endpoint) != endpoint:
        hidden.append(f"{ENDPOINT}={shlex.quote(redact(endpoint))}")
    elif endpoint:
        words += ["--endpoint", endpoint]
    declared = backend_options(params)
    options = {name: option for option in declared or () for name in option.names}
    of_handler = {name for option in HANDLER_OPTIONS for name in option.names}
    conf, is_secret = [], False
    for name, value in parse_config(target.conf).items():
        if name not in of_handler:
            # Of what is not declared nobody can tell.
            shown = name in options and not options[name].secret
            conf.append(f"{name}={value if shown else HIDDEN}")
            is_secret = is_secret or not shown
    if is_secret:
        hidden.append(f"{CONF}={shlex.quote(','.join(conf))}")
    elif conf:
        words += ["--conf", ",".join(conf)]
    hidden += _variables(declared or (), params)
    return " ".join([*hidden, shlex.join(words)])


def _variables(options: "tuple[Option, ...]", params: RendezvousParameters) -> Iterator[str]:
    """Those from which options were read that are not given otherwise."""
    for option in options:
        if os.environ.get(option.variable) and not any(params.config.get(name) for name in option.names):
            value = HIDDEN if option.secret else shlex.quote(os.environ[option.variable])
            yield f"{option.variable}={value}"
