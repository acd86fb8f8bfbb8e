"""An audit that looked at nothing found nothing: it fails."""

import sys

import pytest
from pip_audit import _cli
from pip_audit._service import SkippedDependency
from pip_audit._service.pypi import PyPIService

from dev.audit import pip_audit_arguments


def test_an_audit_that_skips_packages_fails(monkeypatch, tmp_path):
    """As where the registry does not know them."""
    monkeypatch.setattr(PyPIService, "query", lambda _, spec: (SkippedDependency(spec.name, "not found on PyPI"), []))
    monkeypatch.setattr(sys, "argv", ["pip-audit", *pip_audit_arguments(), "--cache-dir", str(tmp_path)])
    with pytest.raises(SystemExit) as raised:
        _cli.audit()
    assert raised.value.code
