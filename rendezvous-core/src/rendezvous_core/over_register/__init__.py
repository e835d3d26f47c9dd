"""What core makes of one bare register: a membership backend, and a store beside it."""
