"""The dynamic handler: the protocol, driven by one thread against a real backend."""
