"""Calls a command: asks for the extra, answers errors, and tells the exit code."""

import importlib.util
import os
import signal
import traceback

from rendezvous_core.cli.exit_codes import ExitCode, exit_code_of, fail
from rendezvous_core.ports.errors import RendezvousError


def invoke(*, interrupts: bool) -> int:
    """Do what the arguments of this process say; return what to exit with.

    Args:
        interrupts: whether SIGINT is to interrupt it, which leaves nothing behind on a terminal.
    """
    if missing := [name for name in ("click", "rich") if importlib.util.find_spec(name) is None]:
        return fail(
            ExitCode.FAILED,
            f'the command line needs {" and ".join(missing)}. Install it: pip install "rendezvous-core[cli]"',
        )
    import click

    from rendezvous_core.cli.commands import rdzv

    try:
        if interrupts:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return int(rdzv.main(prog_name="rdzv", standalone_mode=False) or ExitCode.OK)
    except (click.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except Exception as error:
        code = exit_code_of(error)
        if os.environ.get("RDZV_DEBUG", "") not in ("", "0"):
            traceback.print_exc()
        elif isinstance(error, RendezvousError) or code is not ExitCode.FAILED:
            fail(code, str(error))
        else:
            fail(code, f"{type(error).__name__}: {error}\nRDZV_DEBUG=1 shows where.")
        return code
