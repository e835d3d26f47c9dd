"""Lightning's Trainer: a small model, as many nodes as the round has."""

import logging
import os

import lightning
import torch
from torch.utils.data import DataLoader

from frameworks.programs.work import STOP, ready
from rendezvous_core import RendezvousParameters, get_rendezvous_handler


class Model(lightning.LightningModule):
    """Says that it works when it has made a step."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)

    def training_step(self, batch: torch.Tensor, index: int) -> torch.Tensor:
        """One step."""
        if index == 1 and self.current_epoch == 0:
            ready(self.trainer.global_rank, self.trainer.world_size)
        if STOP.exists():
            self.trainer.should_stop = True
        return self.layer(batch).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Plain descent."""
        return torch.optim.SGD(self.parameters(), lr=0.01)


def log_by_lightning() -> None:
    """Have Lightning's own handlers write what ours has to say."""
    ours = logging.getLogger("rendezvous_core")
    ours.setLevel(logging.INFO)
    ours.handlers += logging.getLogger("lightning").handlers
    params = RendezvousParameters("sqlite", str(STOP.with_name(f"{os.getpid()}.db")), "logged", 1, 1)
    with get_rendezvous_handler(params) as handler:
        handler.next_rendezvous()


if __name__ == "__main__":
    log_by_lightning()
    trainer = lightning.Trainer(
        accelerator="cpu",
        strategy="ddp",
        devices=int(os.environ["LOCAL_WORLD_SIZE"]),
        num_nodes=int(os.environ["GROUP_WORLD_SIZE"]),
        max_epochs=-1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Model(), DataLoader(torch.ones(64, 4), batch_size=4))
