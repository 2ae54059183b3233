"""Whether the email backend has tenants of SES: what the parameter says, and what botocore knows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from posthorn.domain.errors import SettingsError
from posthorn.settings import ApiSettings
from posthorn.wiring import parts
from tests.unit.email.ses import MODEL
from tests.unit.test_settings import API

OLD = [name for name in MODEL.operation_names if "Tenant" not in name]  # botocore before 1.40


def backend(monkeypatch: pytest.MonkeyPatch, choice: str, operations: Any) -> Any:
    client = SimpleNamespace(meta=SimpleNamespace(service_model=SimpleNamespace(operation_names=operations)))
    monkeypatch.setattr(parts, "client", lambda _: client)
    settings = ApiSettings.read({**API, "SES_TENANTS": choice, "STAGE": "eu-2"})
    return parts.email_backend(settings, lambda: 0, bytes)


@pytest.mark.parametrize(
    ("choice", "operations", "has_tenants"),
    [
        ("auto", MODEL.operation_names, True),
        ("on", MODEL.operation_names, True),
        ("off", MODEL.operation_names, False),
        ("auto", OLD, False),
        ("off", OLD, False),
    ],
)
def test_the_parameter_and_botocore_decide(
    monkeypatch: pytest.MonkeyPatch, choice: str, operations: list[str], has_tenants: bool
) -> None:
    """By default, a runtime without tenants works without."""
    tenants = backend(monkeypatch, choice, operations)._tenants

    assert (tenants is not None) == has_tenants
    if tenants is not None:
        assert tenants.name_of("wksp_1") == "posthorn-eu-2-wksp_1"
        assert tenants._account == "arn:aws:ses:us-east-1:123456789012"
        assert tenants._is_required == (choice == "on")


def test_required_tenants_need_a_botocore_that_knows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator who requires them gets an error and no mails without them."""
    with pytest.raises(SettingsError, match="SES_TENANTS"):
        backend(monkeypatch, "on", OLD)
