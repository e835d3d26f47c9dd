"""Five stories to read: ``golden/*.txt``, as the simulation tells them.

``pytest tests/simulation/test_golden.py --rewrite`` writes them anew; read what changed.
"""

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.simulation.faults import Faults
from tests.simulation.narration import Narrator
from tests.simulation.scenarios.telling import expect_undisturbed, wait_until
from tests.simulation.world import World

GOLDEN = Path(__file__).parent / "golden"

FOOT = """
Times are in seconds. A heartbeat each second, and what the coordinator writes each second to show that
it can, are left out where they change nothing.
"""


def forming(world: World) -> None:
    """Three nodes of a group of two to four meet; later a fourth one comes.

    With two there is a last call of two seconds, of which the third makes use. The fourth one disturbs
    the others, who ask anew and are together with it at once, since now the group is full.
    """
    for _ in range(3):
        world.start(names="node", min_nodes=2, max_nodes=4)
        world.run(0.7)
    wait_until(world, lambda: all(machine.inside for machine in world.live), 3.0, "the first round")
    world.run(1.0)
    world.start(names="node", min_nodes=2, max_nodes=4)
    wait_until(world, lambda: len(world.live[3].returned) == 1, 3.0, "the second round")
    world.run(1.0)


def death(world: World) -> None:
    """A participant dies in a group of two to three; it is found silent, and the others go on.

    A node is dead when the coordinator has seen no sign of life for three seconds.
    """
    for _ in range(3):
        world.start(names="node", min_nodes=2, max_nodes=3)
        world.run(0.1)
    world.run(2.0)
    world.machines["node2"].crash()
    wait_until(world, lambda: all(len(m.returned) == 2 for m in world.live), 8.0, "the second round")
    world.run(1.0)


def takeover(world: World) -> None:
    """The coordinator dies; who sees the state stand still for three seconds takes over.

    The state carries the coordinator's last heartbeat, so its successor knows at once for how long it
    has been silent. Who waits echoes the new term: that proves it alive.
    """
    for _ in range(3):
        world.start(names="node", min_nodes=2, max_nodes=3)
        world.run(0.1)
    world.run(2.0)
    world.machines["node0"].crash()
    wait_until(world, lambda: all(len(m.returned) == 2 for m in world.live), 8.0, "the second round")
    world.run(1.0)


def lost_state(world: World) -> None:
    """The server starts again with nothing; who looks first writes back what it has seen.

    The round goes on: nobody is called. The records come back with the heartbeats.
    """
    for _ in range(3):
        world.start(names="node", min_nodes=3, max_nodes=3)
        world.run(0.1)
    world.run(2.0)
    world.backend.lose_state()
    world.run(5.0)
    expect_undisturbed(world.live)


def closing(world: World) -> None:
    """Two nodes are done one after the other, a third one stands by as a spare.

    The first one to be done disturbs nobody. When all are, the run is closed, and the spare may go.
    """
    for _ in range(3):
        world.start(names="node", min_nodes=2, max_nodes=2)
        world.run(0.5)
    world.machines["node0"].quit("done")
    world.run(1.0)
    world.machines["node1"].quit("done")
    world.run(2.0)


STORIES: list[Callable[[World], None]] = [forming, death, takeover, lost_state, closing]


def text_of(story: Callable[[World], None]) -> str:
    world = World(1, Faults(latency=0.002))
    story(world)
    head = inspect.cleandoc(story.__doc__ or "")
    return f"{head}\n\n{chr(10).join(Narrator().tell(world.notes))}\n{FOOT}"


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_story_is_told_as_ever(story: Callable[[World], None], pytestconfig: pytest.Config) -> None:
    path = GOLDEN / f"{story.__name__}.txt"
    if pytestconfig.getoption("rewrite", False):
        path.write_text(text_of(story))
    assert text_of(story) == path.read_text(), "read what changed; --rewrite writes it down"


def test_no_other_story_lies_about() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == {story.__name__ for story in STORIES}
