"""The app with proxies that fail on purpose between it and its services."""

import pytest

from dev.azurite import connection_string
from dev.proxy.server import Proxy
from shared.storage.study_queue import StudyQueue

SERVICES = ("dicom", "fhir", "table", "queue")


class Between:
    """The proxies before the services of a stack. Its apps go through them; what tests do themselves does not."""

    def __init__(self, stack):
        self.stack = stack
        self.proxies = {}

    async def start(self, services):
        urls = {**self.stack.azurite, "dicom": self.stack.dicom, "fhir": self.stack.fhir}
        for service in services:
            self.proxies[service] = await Proxy(urls[service]).start()
        storage = {service: self._url(service, urls) for service in ("table", "queue")}
        self._settings = {
            "AzureWebJobsStorage": connection_string(storage),
            "DicomWeb__PrivateEndpoint": self._url("dicom", urls),
            "Fhir__Endpoint": self._url("fhir", urls),
        }
        self.stack.app = self.new_app()

    def _url(self, service, urls):
        return self.proxies[service].url if service in self.proxies else urls[service]

    def new_app(self):
        return self.stack.new_app(**self._settings)

    def __getitem__(self, service):
        return self.proxies[service]

    async def close(self):
        for proxy in self.proxies.values():
            await proxy.close()


@pytest.fixture
async def between(stack):
    """Proxies before these services, all four by default."""
    made = []

    async def start(*services):
        made.append(Between(stack))
        await made[0].start(services or SERVICES)
        return made[0]

    yield start
    for one in made:
        await one.close()


@pytest.fixture
def prompt(monkeypatch):
    """Messages that are to come later come at once."""
    send = StudyQueue.send

    async def send_now(self, change, delay_s=0):
        del delay_s
        await send(self, change)

    monkeypatch.setattr(StudyQueue, "send", send_now)
    monkeypatch.setattr("shared.sync.reconciler.RERUN_WAIT_S", 0.02)
