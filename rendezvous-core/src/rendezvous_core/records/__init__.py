"""What a run keeps in its backend, and how that is read and written: no I/O, and nothing is decided here.

Read in this order: `state` and `member`, `ledger` (the part of a large group's state that is kept apart),
`ranges` and `invariants` (what they may say), `codec` (how they are bytes).
"""
