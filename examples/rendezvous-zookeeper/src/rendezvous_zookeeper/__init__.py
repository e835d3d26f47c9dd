"""Elastic rendezvous over Apache ZooKeeper: the backend ``zookeeper``."""

from rendezvous_zookeeper.backend import ZookeeperBackend
from rendezvous_zookeeper.runs import ZookeeperRuns
from rendezvous_zookeeper.session import Session
from rendezvous_zookeeper.store import ZookeeperStore

__all__ = ["Session", "ZookeeperBackend", "ZookeeperRuns", "ZookeeperStore"]
