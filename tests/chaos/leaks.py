"""Search texts for what nobody may read there."""

from dev.azurite import KEY


def leaks(private, **texts):
    """Which of the texts hold something that nobody may read there; the words themselves are not repeated."""
    return [
        f"{name}: private data in it" for name, text in texts.items() if any(word in text for word in {*private, KEY})
    ]
