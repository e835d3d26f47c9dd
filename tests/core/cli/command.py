"""What the commands of the tests' groups run: says who it is, and works until its gate opens."""

import os
import signal
import sys


def tell(*words: object) -> None:
    # In one piece, also where the output is not buffered: a signal may end this process at any time.
    print(" ".join(map(str, words)) + "\n", end="", flush=True)


signal.signal(signal.SIGUSR1, lambda received, frame: tell("got SIGUSR1"))
if "--stubborn" in sys.argv:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, frame: tell("ignores", signal.Signals(received).name))
if "--with-helper" in sys.argv:
    ready, done = os.pipe()
    helper = os.fork()
    if helper == 0:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_DFL)
        os.write(done, b".")
        signal.pause()
    os.read(ready, 1)
    tell("helper", helper)
tell("up", os.environ["RANK"], "of", os.environ["WORLD_SIZE"], "in", os.environ["RDZV_ROUND"])
# Ends when the gate has no writer any more, which is when the test has let go of it.
gate = os.open(os.environ["GATE"], os.O_RDONLY | os.O_NONBLOCK)
os.set_blocking(gate, True)
os.read(gate, 1)
sys.exit("--fail" in sys.argv)
