"""What core makes of a store: a view under a prefix, and a membership backend."""
