"""Keeps torch from printing a page of frames whenever a connection is lost, as many are here."""

import os

os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")
