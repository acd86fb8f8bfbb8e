"""The one error that stops the host at start: something in the app or its settings has to be put right by a person."""


class StartError(Exception):
    """The app cannot be run as it is; the message names what to change."""
