"""The v3 API: the one that every etcd since 3.0 has, and the only one since 3.6."""
