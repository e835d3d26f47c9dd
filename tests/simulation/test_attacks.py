"""An attacker without the secret: what the protocol refuses, whatever is brought back, deleted or delayed."""

import pytest

from tests.simulation.attacks import Attack
from tests.simulation.invariants import Violation
from tests.simulation.scenarios.telling import coordinator, gather, state_of, wait_until
from tests.simulation.world import World


@pytest.mark.timeout(3600)
def test_agreement_holds_under_attack_and_all_is_well_after_it(pytestconfig: pytest.Config) -> None:
    for seed in range(pytestconfig.getoption("schedules", 20_000) // 40):
        attack = Attack(seed)
        try:
            attack.run()
        except Violation as violation:
            log = "\n".join(attack.world.log)
            raise Violation(f"Attack {seed}: {violation}\n{log}") from violation


@pytest.mark.parametrize("seed", range(30))
def test_who_is_dead_is_not_made_to_live_by_its_records(seed: int) -> None:
    """All that a spare ever wrote is put again and again after its death: it never gets a seat."""
    world = World(seed)
    machines = gather(world, 3, min_nodes=2, max_nodes=3)
    (spare,) = world.start(1, min_nodes=2, max_nodes=3)
    written = []

    def keep() -> None:
        written.append(world.backend.members.get(spare.name))
        if not spare.crashed:
            world.after(0.05, keep)

    keep()
    world.run(4.0)
    spare.crash()
    died = world.now
    records = [member for member in written if member is not None]
    assert len({member.beat for member in records}) > 2

    def replay(index: int) -> None:
        world.backend.members[spare.name] = records[index % len(records)]
        world.backend.bell += 1
        world.after(0.07, replay, index + 1)

    replay(0)
    world.run(6.0)
    # Twice those who are left form a round, one of them with a coordinator who never saw it alive.
    for _ in range(2):
        leader = coordinator(world)
        round_id = state_of(world).round_id
        leader.crash()
        world.start(1, min_nodes=2, max_nodes=3)
        wait_until(
            world,
            lambda: state_of(world).phase == "complete" and state_of(world).round_id != round_id,  # noqa: B023
            60.0,
            f"a round without {leader.name} and {spare.name}, which died at {died}",
        )
        assert spare.name not in {seat.node for seat in state_of(world).roster}
    assert machines
