"""Sets what torch and the resolver read from the environment, before they do."""

import os

# A page of frames for every lost connection; there are many here.
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")
# torch asks for the name of every peer: a name server that does not answer shall not cost five seconds.
os.environ.setdefault("RES_OPTIONS", "timeout:1 attempts:1")
