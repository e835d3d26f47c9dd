"""What a run keeps in its backend, and how that is read and written: no I/O, and nothing is decided here.

Read in this order: `state` and `member`, `terms` (on which a node takes part), `changes` (what a node's
wish makes of the state), `ledger` (the part of a large group's state that is kept apart), `ranges` and
`invariants` (what they may say), `codec` (how they are bytes).
"""
