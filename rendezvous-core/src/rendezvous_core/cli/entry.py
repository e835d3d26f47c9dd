"""Where ``rdzv`` begins and ends: its extra, its errors, its exit code."""

import importlib.util
import os
import sys
import traceback

from rendezvous_core.cli.exit_codes import ExitCode, exit_code_of, fail
from rendezvous_core.ports.errors import RendezvousError


def main() -> None:
    """Run the command line of this process and exit with an `ExitCode`."""
    if missing := [name for name in ("click", "rich") if importlib.util.find_spec(name) is None]:
        sys.exit(
            f"rdzv: the command line needs {' and '.join(missing)}. "
            'Install it: pip install "rendezvous-core[cli]"'
        )
    sys.exit(_invoke())


def _invoke() -> int:
    import click

    from rendezvous_core.cli.commands import rdzv

    try:
        return int(rdzv.main(prog_name="rdzv", standalone_mode=False) or ExitCode.OK)
    except click.Abort:
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
