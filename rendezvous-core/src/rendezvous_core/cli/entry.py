"""Where ``rdzv`` begins and ends. Imports almost nothing, so that Ctrl-C is quiet from the start."""

import signal
import sys


def main() -> None:
    """Run the command line of this process and exit with an `ExitCode`."""
    # What loads a module, or ends the interpreter, has no answer to a KeyboardInterrupt but a traceback.
    interrupts = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interrupts:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from rendezvous_core.cli.invocation import invoke

    code = invoke(interrupts=interrupts)
    if interrupts:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)
