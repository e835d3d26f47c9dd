"""The smallest rendezvous backend: one register, in a JSON file that is locked while it is used."""

import fcntl
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rendezvous_core import (
    RendezvousBackend,
    RendezvousConnectionError,
    RendezvousParameters,
    RendezvousStateError,
    Token,
    hookimpl,
)


class JsonFileBackend(RendezvousBackend):
    name = "jsonfile"

    def __init__(self, path: str, run_id: str) -> None:
        self._path, self._run = Path(path), run_id

    def get_state(self) -> tuple[bytes, Token] | None:
        with self._locked() as runs:
            found = runs.get(self._run)
            return found and (found[0].encode("latin-1"), found[1])

    def set_state(self, state: bytes, token: Token | None = None) -> tuple[bytes, Token, bool] | None:
        with self._locked() as runs:
            found = runs.get(self._run)
            if token != (found and found[1]):
                return found and (found[0].encode("latin-1"), found[1], False)
            runs[self._run] = (state.decode("latin-1"), token := uuid.uuid4().hex)
            new = Path(f"{self._path}.new")
            new.write_text(json.dumps(runs))
            new.replace(self._path)  # whoever is killed before this has written nothing
            return state, token, True

    @contextmanager
    def _locked(self) -> Iterator[dict[str, tuple[str, str]]]:
        try:
            with open(f"{self._path}.lock", "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield json.loads(self._path.read_text()) if self._path.exists() else {}
        except OSError as error:
            raise RendezvousConnectionError(f"Cannot use the file {self._path}: {error}.") from error
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise RendezvousStateError(f"The file {self._path} holds no runs: {error}.") from error


@hookimpl
def rendezvous_backend(params: RendezvousParameters) -> JsonFileBackend:
    if not (params.endpoint.endswith(".json") and params.run_id):
        raise ValueError(f"A run id and the path of a .json file are needed, not {params.endpoint!r}.")
    return JsonFileBackend(params.endpoint, params.run_id)
