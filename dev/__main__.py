"""`python -m dev`: every part of the local stack, each startable alone.

Commands live in their own modules and are imported when called, so that one part never needs what another one needs.
"""

import importlib
import sys

import typer

app = typer.Typer(
    help="Parts of the local stack. Each prints one JSON line with its URLs when it is ready and stops on SIGTERM.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

# command -> module that defines it as a function of the name `command`
COMMANDS = {
    "azurite": "dev.azurite",
    "dicom": "dev.dicom.serve",
    "fhir": "dev.fhir.serve",
    "hapi": "dev.hapi.serve",
    "host": "dev.host.serve",
    "dicom-server": "dev.dicom_server",
    "fhir-server": "dev.fhir_server",
    "dicom-cast": "dev.dicom_cast",
    "func": "dev.func",
    "microsoft": "dev.microsoft",
    "identity": "dev.identity.serve",
    "vault": "dev.vault.serve",
    "proxy": "dev.proxy.serve",
    "up": "dev.up",
    "load": "dev.load",
    "drain": "dev.drain",
    "demo": "dev.demo",
    "npm-ci": "dev.node",
    "docs": "dev.mapping_page",
    "package": "dev.package",
    "audit": "dev.audit",
}


def main() -> None:
    """Run the named command; only its own module is imported, all of them for the list of commands."""
    named = COMMANDS.keys() & set(sys.argv[1:2])
    for name in named or COMMANDS:
        app.command(name)(importlib.import_module(COMMANDS[name]).command)
    # a lone command would otherwise become the whole program, without a name
    app.callback()(lambda: None)
    app()


if __name__ == "__main__":
    main()
