"""The errors of the host; their messages are for people."""


class HostError(Exception):
    """The host cannot go on; the message says why."""


class StartError(HostError):
    """The app cannot be run as it is; the message names what to change."""


class Recycled(HostError):
    """The host ends with exit code 0, as Microsoft's does: the platform is to start it again."""


class BindingError(Exception):
    """The binding of one function is wrong; the host runs on without this function."""
