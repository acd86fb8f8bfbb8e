"""`python -m dev vault`: a stand-in for Azure Key Vault, on HTTPS."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from dev.asgi import listen, origin_of, serve
from dev.identity.tokens import TENANT
from dev.process import exit_with_parent, terminate_on_sigterm
from dev.vault.app import Vault
from dev.vault.certificate import write_certificates
from dev.vault.contents import URL

LOOPBACK = "127.0.0.1,localhost"


def command(
    identity: Annotated[str, typer.Option(help="URL of the identity stand-in whose tokens it takes.")],
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 picks a free one.")] = 8094,
) -> None:
    """A Key Vault on HTTPS with secrets to read; steered under /_dev/.

    A process with the announced environment reaches it under a name of vault.azure.net, through a tunnel on loopback.
    """
    exit_with_parent()
    terminate_on_sigterm()
    with tempfile.TemporaryDirectory(prefix="vault-") as folder, listen(port) as listening, listen(0) as tunnel:
        trusted, served = write_certificates(Path(folder))
        origin = origin_of(listening, "https")
        vault = Vault(identity, f"{identity}/{TENANT}", listening.getsockname()[1])
        ready = {
            "part": "vault",
            "url": URL,
            "environment": _environment(origin_of(tunnel), trusted),
            "authority_file": str(trusted),
            "admin": f"{origin}/_dev",
        }
        serve(vault.app(tunnel), listening, ready, ssl_certfile=served)


def _environment(tunnel: str, trusted: Path) -> dict[str, str]:
    """What makes a process find the vault and trust it. Proxies are named in either case, lower case counting first."""
    return {
        "KeyVault__Endpoint": URL,
        "HTTPS_PROXY": tunnel,
        "https_proxy": tunnel,
        "NO_PROXY": LOOPBACK,
        "no_proxy": LOOPBACK,
        # of requests, and of OpenSSL
        "REQUESTS_CA_BUNDLE": str(trusted),
        "SSL_CERT_FILE": str(trusted),
    }
