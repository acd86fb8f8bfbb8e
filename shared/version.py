"""The version of this app; pyproject.toml has the same one."""

VERSION = "0.1.0"
