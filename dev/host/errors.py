"""The errors that end the host; their messages are for people."""


class HostError(Exception):
    """The host cannot go on; the message says why."""


class StartError(HostError):
    """The app cannot be run as it is; the message names what to change."""
