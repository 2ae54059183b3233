"""Posthorn: outbound webhooks in your own AWS account."""
