"""The protocol as pure code: no I/O, no thread, no clock. See ``docs/protocol.md``.

What is stored is in `rendezvous_core.records`. Read then in this order: `decision` (what a coordinator makes
of it), `observation` (who is alive), `participant` (what a node wants and is told), `coordinator` (what it
does in office), `follower` (how it reads and writes the state), `node` (how it lives, as a generator of
operations).
"""
