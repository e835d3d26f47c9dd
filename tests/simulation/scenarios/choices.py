"""Who is chosen, and when a round is complete."""

from tests.simulation.invariants import check_progress
from tests.simulation.scenarios.telling import (
    coordinator,
    expect,
    gather,
    lag,
    others,
    pick,
    scenario,
    state_of,
    wait_until,
)
from tests.simulation.world import World


@scenario
def last_call_goes_on_over_a_takeover(world: World) -> None:
    """It runs from when it was first seen, not from the takeover."""
    machines = world.start(3, min_nodes=2, max_nodes=4, last_call=4.0)
    wait_until(
        world,
        lambda: world.backend.state is not None and state_of(world).last_call is not None,
        2.0,
        "last call",
    )
    world.run(world.random.uniform(0.3, 0.6))
    leader = coordinator(world)
    leader.pause()
    rest = others(machines, leader)
    wait_until(world, lambda: all(m.inside for m in rest), 6.0, "the round, soon after the takeover")


@scenario
def members_flap_around_min(world: World) -> None:
    """Each time that enough are there the last call is as long as ever; too few never make a round."""
    world.start(2, min_nodes=3, max_nodes=5, last_call=2.0)
    (flapper,) = world.start(1, min_nodes=3, max_nodes=5, last_call=2.0)
    for _ in range(3):
        world.run(world.random.uniform(0.5, 1.8))
        flapper.quit("cancel")
        wait_until(world, lambda: flapper.node.finished, 2.0, "it has withdrawn")
        lag(world, 2.5)
        flapper.ask()
    asked = world.now
    wait_until(world, lambda: bool(flapper.inside), 4.0, "the round")
    expect(world.now - asked > 1.95, f"last call was only {world.now - asked:.2f} s")


@scenario
def newcomers_use_the_last_call(world: World) -> None:
    first = world.start(2, min_nodes=2, max_nodes=4, last_call=2.0)
    world.run(world.random.uniform(0.5, 1.8))
    late = world.start(1, min_nodes=2, max_nodes=4, last_call=2.0)
    wait_until(world, lambda: all(m.inside for m in first + late), 3.0, "all are in")
    expect({m.returned[0].round for m in first + late} == {0}, "in one round")


@scenario
def spares_wait_in_line(world: World) -> None:
    """The oldest ask goes first, whatever the nodes are called, and before somebody just come."""
    machines = gather(world, 2)
    spares = []
    for name in "zyx":
        spares += world.start(1, min_nodes=2, max_nodes=2, names=name)
        world.run(world.random.uniform(1.1, 2.0))
    expect(not any(m.inside for m in spares), "spares wait")
    for oldest in tuple(spares):
        # A new coordinator would admit whoever proves itself alive first.
        goer = next(m for m in machines if m.inside and m is not coordinator(world))
        goer.quit("leave")
        newest = world.start(1, min_nodes=2, max_nodes=2, names="a")
        check_progress(world)
        expect(oldest.inside is not None, f"{oldest.name} is next")
        machines, spares = [*machines, oldest], [*others(spares, oldest), *newest]


@scenario
def participants_go_before_spares(world: World) -> None:
    """A participant that failed and asks again keeps its seat, although the spare asked before."""
    machines = gather(world, 3)
    world.start(2, min_nodes=3, max_nodes=3)
    world.run(2.0)
    pick(world, machines).ask()
    check_progress(world)
    expect(all(m.inside for m in machines), "all participants are in again")
