"""What a run keeps in its backend, sealed with a secret: who has not got it can neither read nor write it."""
