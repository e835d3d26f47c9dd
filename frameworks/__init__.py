"""Frameworks as people run them, each tried with nodes that meet through us, of which one is killed."""
