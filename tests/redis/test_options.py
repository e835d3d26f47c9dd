"""The options of redis: what is misspelt is refused, and the README shows them all."""

import pytest

from rendezvous_core import RendezvousParameters, get_rendezvous_handler
from tests.support import option_tables


@pytest.mark.parametrize(
    ("given", "meant"),
    [("passwrod", "password"), ("key_prefx", "key_prefix"), ("read_timout", "read_timeout")],
)
def test_a_misspelt_option_is_refused_before_a_server_is_looked_for(given: str, meant: str) -> None:
    params = RendezvousParameters("redis", "nowhere.invalid", "run", 1, 1, **{given: "hunter2"})
    with pytest.raises(
        ValueError, match=f"'redis' has no option '{given}'; did you mean '{meant}'"
    ) as refused:
        get_rendezvous_handler(params)
    assert "hunter2" not in str(refused.value)


def test_the_readme_shows_all_options() -> None:
    option_tables.check("rendezvous-redis")
