"""The v2 API: of etcd up to 3.5, where its operator has turned it on."""
