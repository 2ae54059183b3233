"""An example of every request body, which its model takes."""

from typing import Any, Final

EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "NewWebhook": {
        "url": "https://hooks.example.com/posthorn",
        "events": ["CONTACT_CREATED", "CONTACT_UPDATED"],
        "description": "The CRM",
    },
    "WebhookChange": {"events": ["*"], "enabled": True},
    "Rotation": {"overlapHours": 48},
    "NewEvent": {
        "event": "CONTACT_CREATED",
        "data": {"contact": {"id": "cont_1", "email": "ada@example.com"}},
    },
    "NewEvents": {
        "events": [
            {"event": "CONTACT_CREATED", "data": {"contact": {"id": "cont_1"}}},
            {"event": "CONTACT_UPDATED", "data": {"contact": {"id": "cont_2"}}},
        ]
    },
    "NewEventType": {
        "name": "INVOICE_PAID",
        "description": "An invoice was paid.",
        "example": {"invoice": {"id": "inv_1", "amount": 4200}},
        "schema": {"type": "object", "required": ["invoice"]},
    },
    "EventTypeDefinition": {
        "description": "An invoice was paid.",
        "example": {"invoice": {"id": "inv_1", "amount": 4200}},
        "schema": {"type": "object", "required": ["invoice"]},
    },
    "NewApiKey": {"name": "Publisher", "scopes": ["publish"], "expiresAt": "2030-01-01T00:00:00Z"},
    "WorkspaceChange": {"name": "Acme Inc.", "metadata": {"plan": "pro"}, "limits": {"endpoints": 250}},
    "LimitChange": {"endpoints": 250, "eventsPerSecond": 50},
    "NewSenderIdentity": {"identity": "mail.acme.example"},
    "NewConfigurationSet": {"name": "receipts", "suppression_options": "BOUNCE"},
    "ConfigurationSetChange": {"suppression_options": "NONE"},
    "NewEventDestination": {
        "name": "production",
        "destination_type": "WEBHOOK",
        "webhook_url": "https://hooks.example.com/email-events",
        "webhook_secret": "a-shared-secret-of-24-characters-or-more",
        "matching_event_types": ["bounce", "complaint"],
    },
    "EventDestinationChange": {"matching_event_types": ["*"], "enabled": True},
    "NewReplay": {"since": "2026-01-01T00:00:00Z", "status": "failed", "dryRun": True},
    "NewEventDestinationReplay": {"since": "2026-01-01T00:00:00Z", "status": "failed", "dry_run": True},
    "SendExample": {"event": "CONTACT_CREATED"},
    "NewMail": {
        "from": "receipts@example.com",
        "to": ["ada@example.org"],
        "subject": "Your receipt",
        "text_body": "Thank you for your order.",
        "configuration_set_name": "receipts",
    },
}
