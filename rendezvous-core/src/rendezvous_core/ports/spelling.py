"""What may have been meant by a name that nobody knows."""

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return which of ``known`` is most like ``name``; ``None`` where none is like it."""
    import difflib

    known = sorted(known)
    plain = {each.lower().replace("_", "-"): each for each in reversed(known)}
    wanted = name.lower().replace("_", "-")
    if near := difflib.get_close_matches(wanted, plain, 1, 0.65):
        return plain[near[0]]
    # A part of a name is nearer to it than its letters say.
    parts = (
        each
        for word, each in sorted(plain.items())
        if word.endswith(f"-{wanted}") or word.startswith(f"{wanted}-")
    )
    return next(parts, None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the question after what is nearest, to be put behind a sentence's last word; else nothing."""
    near = nearest(name, known)
    return f"; did you mean '{near}'?" if near else ""
