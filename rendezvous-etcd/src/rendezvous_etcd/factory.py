"""Backend and store in one call, as torch offers it."""

from rendezvous_core import MembershipBackend, RendezvousParameters, Store


def create_backend(params: RendezvousParameters) -> tuple[MembershipBackend, Store]:
    """Open a run over the v3 API if ``params.backend`` is ``etcd-v3``, and over the v2 API otherwise.

    For the options see ``create_backend`` in `rendezvous_etcd.v3.plugin`.

    Raises:
        ValueError: an option or the endpoint is wrong.
        RendezvousConnectionError: the cluster cannot be reached, or lacks the API.
        RendezvousStateError: the cluster refuses this user.
    """
    if params.backend == "etcd-v3":
        from rendezvous_etcd.v3 import plugin as v3

        return v3.create_backend(params)
    from rendezvous_etcd.v2 import plugin as v2

    return v2.create_backend(params)
