"""The emulator's AWS account: its address and the deployer's credentials."""

import os
from dataclasses import dataclass
from typing import Any, Final

import boto3
import botocore.session
from botocore.config import Config

REGION: Final = "us-east-1"
ROOT: Final = "test"
"""Key id and secret of the account's root. MiniStack accepts them from any client, so it listens on loopback only."""

# otherwise botocore reads these from the developer's own configuration
_NOBODYS_CONFIGURATION = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}


@dataclass(frozen=True, slots=True)
class Account:
    """The account, with root credentials."""

    endpoint_url: str
    region: str = REGION

    def client(self, service: str) -> Any:
        """Return a boto3 client with the deployer's credentials."""
        session: Any = boto3.Session(botocore_session=botocore.session.Session(_NOBODYS_CONFIGURATION))
        return session.client(
            service,
            region_name=self.region,
            endpoint_url=self.endpoint_url,
            aws_access_key_id=ROOT,
            aws_secret_access_key=ROOT,
            config=Config(proxies={}),  # a proxy cannot reach this machine's loopback
        )

    def environment(self) -> dict[str, str]:
        """Return the variables that make AWS tools use this account and none of the developer's settings."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": ROOT,
            "AWS_SECRET_ACCESS_KEY": ROOT,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": "127.0.0.1",
        }
