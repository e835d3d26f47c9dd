"""The legacy protocol: nodes of torch and of this library form one group.

The protocol is the one that torch's ``etcd_rendezvous`` speaks over the v2 API; its keys and states
are described in `layout` and `state`.
"""
