"""TensorFlow: ``TF_CONFIG`` comes from ``rdzv run --export tensorflow``."""

import json
import os

import tensorflow as tf

from frameworks.programs.work import work

if __name__ == "__main__":
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    config = json.loads(os.environ["TF_CONFIG"])

    @tf.function
    def summed(value: tf.Tensor) -> tf.Tensor:
        """Sum over all."""
        return strategy.reduce("SUM", strategy.run(lambda: tf.identity(value)), axis=None)

    def total(value: int) -> float:
        """Sum over all."""
        return float(summed(tf.constant(float(value))))

    work(config["task"]["index"], len(config["cluster"]["worker"]), total)
