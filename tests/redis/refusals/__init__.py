"""Real refusals, one for each row of the table of advice: functions that have somebody refuse."""

from tests.redis.refusals import network, servers, tls
from tests.redis.refusals.scene import SCENES, Scene, ToldElsewhereError

__all__ = ["SCENES", "Scene", "ToldElsewhereError", "network", "servers", "tls"]
