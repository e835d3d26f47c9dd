"""Nothing secret is shown, however malformed the endpoint and the options are that hold it."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.markers import MARKER, endpoints, options, told

_SOON = {"connect_timeout": "0.01", "join_timeout": "0.01"}
_secret = options()


@given(st.sampled_from(["c10d"]), endpoints, st.one_of(st.just({}), _secret))
@settings(max_examples=60, deadline=None)
def test_no_error_log_or_repr_shows_a_secret(backend: str, endpoint: str, wrong: dict[str, Any]) -> None:
    assert MARKER not in told(backend, endpoint, {**_SOON, **wrong})
