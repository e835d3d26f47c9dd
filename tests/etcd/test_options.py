"""The options: what is misspelt is refused, and the README shows them all."""

from typing import Any

import pytest

from rendezvous_core import RendezvousParameters, get_rendezvous_handler
from tests.support import option_tables


@pytest.mark.parametrize(
    ("backend", "given", "meant"),
    [
        ("etcd-v3", "passwrod", "password"),
        ("etcd-v2", "conect_timeout", "connect_timeout"),
        ("etcd", "etcd_prefx", "etcd_prefix"),
    ],
)
def test_a_misspelt_option_is_refused_before_a_server_is_looked_for(
    backend: str, given: str, meant: str
) -> None:
    options: dict[str, Any] = {given: "hunter2"}
    params = RendezvousParameters(backend, "nowhere.invalid", "run", 1, 1, **options)
    with pytest.raises(ValueError, match=f"no option '{given}'; did you mean '{meant}'") as refused:
        get_rendezvous_handler(params)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "asks", ["secret", "secret_file", "seal_store", "RENDEZVOUS_SECRET", "RENDEZVOUS_SECRET_FILE"]
)
def test_the_legacy_handler_refuses_a_secret(asks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its records are torch's, which nobody seals."""
    options: dict[str, Any] = {asks: "hunter2"} if asks.islower() else {}
    if not options:
        monkeypatch.setenv(asks, "hunter2")
    params = RendezvousParameters("etcd", "nowhere.invalid", "run", 1, 1, **options)
    with pytest.raises(ValueError, match=f"cannot seal a run with a secret, which .*{asks}") as refused:
        get_rendezvous_handler(params)
    assert "hunter2" not in str(refused.value)


def test_the_readme_shows_all_options() -> None:
    option_tables.check("rendezvous-etcd")
