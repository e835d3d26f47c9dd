"""What formatters of all kinds find in the records of our log."""

import json
import logging
import pickle

import pytest

from tests.core.handler.groups import group

STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime"}


def extra(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in STANDARD}


def test_the_fields_of_events_are_plain_values_under_names_of_their_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "rendezvous_core")
    with group() as nodes:
        first, second = (nodes.node(1, 2, last_call=600) for _ in range(2))
        nodes.join(first, second)
        second.leave()
        assert first.wait_for_membership_change(30)
    events = {str(record.__dict__["rdzv_event"]): extra(record) for record in caplog.records}
    assert events.keys() >= {"joined", "coordinates", "departed"}
    for fields in events.values():
        assert fields.keys() >= {"rdzv_event", "rdzv_run_id", "rdzv_node", "rdzv_round", "rdzv_message"}
        assert all(name.startswith("rdzv_") for name in fields)
        assert json.loads(json.dumps(fields)) == fields
    assert (events["joined"]["rdzv_run_id"], events["joined"]["rdzv_round"]) == ("run", 0)
    assert events["joined"]["rdzv_world_size"] == 2
    assert events["departed"]["rdzv_reason"] == "left"
    for record in caplog.records:
        assert vars(pickle.loads(pickle.dumps(record))) == vars(record)
