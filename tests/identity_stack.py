"""Steer the stand-ins of authentication: who gets which token, what the vault holds, whom the gates let through.

Each starts as it was (`reset`), so that one process serves all tests. The fixtures are in conftest.py.
"""

import ssl

import httpx

DICOM_AUDIENCE = "https://dicom.healthcareapis.azure.com"
FHIR_AUDIENCE = "https://stand-in.fhir.azurehealthcareapis.com"
VAULT_AUDIENCE = "https://vault.azure.net"
# would lead credentials elsewhere
OTHER_WAYS = (
    "AZURE_CLIENT_ID",
    "AZURE_TENANT_ID",
    "AZURE_CLIENT_SECRET",
    "IDENTITY_SERVER_THUMBPRINT",
    "IMDS_ENDPOINT",
)


class Steered:
    """One stand-in that runs; `announced` is its ready line, `environment` what a process needs to use it."""

    def __init__(self, announced):
        self.announced = announced
        self.environment = announced.get("environment", {})
        # one that trusts nobody is made in no time, and does for HTTP
        trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if "authority_file" in announced:
            trusted.load_verify_locations(announced["authority_file"])
        self.http = httpx.Client(base_url=announced["admin"], verify=trusted, trust_env=False, timeout=30)
        self._ask("POST", "reset")

    def _ask(self, method, path, **options):
        answer = self.http.request(method, path, **options)
        answer.raise_for_status()
        return answer.json()

    def faults(self, *rules):
        """Refusals and waits (dev/proxy/rules.py): {"status": 429, "times": 1, "retry_after_s": 1, "path": "/msi/"}."""
        self._ask("POST", "faults", json=rules)

    def stats(self):
        return self._ask("GET", "stats")

    def close(self):
        self.http.close()


class IdentityProvider(Steered):
    """Managed identities and the token server."""

    def __getitem__(self, name):
        """Of the ready line: url, authority, token_uri, token_uri_v1, client_id, client_secret, username, password."""
        return self.announced[name]

    @property
    def system_assigned(self):
        return self["identities"]["system_assigned"]

    @property
    def user_assigned(self):
        return self["identities"]["user_assigned"]

    def take_identities_away(self):
        """As when nobody has given the app one."""
        self.change(identities=dict.fromkeys(self["identities"].values()))

    def change(self, **patch):
        """Merge into the settings (dev/identity/directory.py); None removes."""
        return self._ask("PATCH", "settings", json=patch)

    def rotate(self, *secrets):
        """The secrets of the client that are accepted from now on."""
        self.change(clients={self["client_id"]: {"secrets": secrets}})

    def revoke(self):
        """No token that was issued until now is good any more; how many there were."""
        return self._ask("POST", "revoke")["revoked"]

    def introspect(self, token):
        return self._ask("POST", "introspect", data={"token": token})

    def issued(self):
        """How many tokens, by grant, client id and audience."""
        return {(one["grant"], one["client_id"], one["audience"]): one["count"] for one in self.stats()["issued"]}

    def token(self, audience):
        """A token for the client, without an SDK."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self["client_id"],
            "client_secret": self["client_secret"],
            "resource": audience,
        }
        answer = self.http.post(self["token_uri_v1"], data=form)
        answer.raise_for_status()
        return answer.json()["access_token"]


class Vault(Steered):
    """The Key Vault."""

    @property
    def url(self):
        return self.announced["url"]

    @property
    def authority_file(self):
        return self.announced["authority_file"]

    def change(self, **patch):
        """Merge into the settings (dev/vault/contents.py); None removes."""
        return self._ask("PATCH", "settings", json=patch)

    def put(self, secrets):
        """Add secrets or change their values, by name; None takes one away."""
        self.change(secrets={name: None if value is None else {"value": value} for name, value in secrets.items()})


class Gate(Steered):
    """A proxy that asks for tokens, before the DICOM service or the FHIR server."""

    def __init__(self, announced, audience):
        super().__init__(announced)
        self.audience = audience

    @property
    def url(self):
        return self.announced["url"]

    def faults(self, *rules):
        """Rules of the proxy (dev/proxy/rules.py)."""
        self._ask("POST", "rules", json={"rules": rules})

    def change(self, **patch):
        """Merge into whom it lets through: on, audiences, role, deny (dev/identity/guard.py)."""
        return self._ask("PATCH", "gate", json=patch)

    def counts(self):
        """passed, and refused by reason."""
        return self.stats()["gate"]
