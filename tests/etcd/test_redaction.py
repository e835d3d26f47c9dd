"""Nothing secret is shown, however malformed the endpoint and the options are that hold it."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.markers import MARKER, endpoints, options, told

_SOON = {"connect_timeout": "0.01", "join_timeout": "0.01"}
_secret = options("password")


@given(st.sampled_from(["etcd-v3", "etcd-v2", "etcd"]), endpoints, st.one_of(st.just({}), _secret))
@settings(max_examples=60, deadline=None)
def test_no_error_log_or_repr_shows_a_secret(backend: str, endpoint: str, wrong: dict[str, Any]) -> None:
    assert MARKER not in told(backend, endpoint, {**_SOON, **wrong})


@given(st.sampled_from(["etcd-v3", "etcd-v2", "etcd"]), st.sampled_from(["password"]))
@settings(max_examples=8, deadline=None)
def test_no_server_that_is_not_there_makes_it_shown(backend: str, name: str) -> None:
    given_options = {**_SOON, name: MARKER, "user": "me"}
    assert MARKER not in told(backend, "127.0.0.1:1", given_options)
