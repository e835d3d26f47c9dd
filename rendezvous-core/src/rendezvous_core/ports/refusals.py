"""What a node is told that gets no place in a round: who reads it acts by it."""

import shlex

from rendezvous_core.ports.errors import (
    RendezvousClosedError,
    RendezvousError,
    RendezvousGracefulExitError,
    RendezvousStateError,
)

_NO_ID = " All jobs that are started without an id meet in it: give each its own (torchrun: --rdzv-id)."


def closed(run: str, *, stood_by: bool, has_id: bool) -> RendezvousError:
    """The run was closed before the node had a place; without an id of its own it was another job's."""
    head = f"The rendezvous '{run}' is closed"
    if stood_by and not has_id:
        return RendezvousStateError(f"{head}, and this node was never in it.{_NO_ID}")
    if stood_by:
        return RendezvousGracefulExitError(f"{head}. This node stood by as a spare and is not needed.")
    return RendezvousClosedError(
        f"{head}: no round forms under this run id any more. Choose another one, remove this run with "
        f"'rdzv delete --run-id {shlex.quote(run)}', or begin it anew with the option reopen=true."
    )


def drains(run: str) -> RendezvousError:
    """The node is to go."""
    return RendezvousGracefulExitError(
        f"This node drains and takes no part in another round of '{run}'; the others go on."
    )


def differs(run: str, difference: str, *, has_id: bool) -> RendezvousError:
    """The group has other settings; without a difference to name, another command."""
    if not difference:
        return RendezvousStateError(
            f"Another job is in the run '{run}': its nodes were started with another command than "
            f"this one.{_NO_ID} So are nodes of one job whose commands differ: give all of them the same."
        )
    return RendezvousStateError(
        f"This node's settings differ from those of the running group of '{run}': {difference}. "
        f"Start all nodes of a run with the same settings.{'' if has_id else _NO_ID}"
    )


def full(run: str) -> RendezvousError:
    """Another job without an id has all places."""
    return RendezvousStateError(f"All places in the run '{run}' are taken.{_NO_ID}")


def foreign(run: str, other: str) -> RendezvousError:
    """What is stored for the run is another one's."""
    return RendezvousStateError(
        f"The state found for the run '{run}' belongs to the run '{other}': "
        "give each run a run id and a key prefix of its own."
    )
