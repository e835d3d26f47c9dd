"""torch's launcher as a function: ``elastic_launch``."""

import sys

from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from frameworks.programs.ddp import main

if __name__ == "__main__":
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=2,
        nproc_per_node=1,
        run_id="job",
        rdzv_backend="sqlite",
        rdzv_endpoint=sys.argv[1],
        rdzv_configs=dict(pair.split("=") for pair in sys.argv[2].split(",")),
        max_restarts=3,
        local_addr="127.0.0.1",
    )
    elastic_launch(config, main)()
