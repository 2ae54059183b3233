"""POST requests for tests, and the policies that apply to them."""

import socket

import pycurl

from posthorn.domain.models import Outcome
from posthorn.transport.http import Client, Post
from posthorn.transport.targets import Policy, parse_target
from tests.unit.transport.receivers import GIVE_UP

PUBLIC = Policy()
PRIVATE = Policy(allow_private=True)
JSON = (("Content-Type", "application/json"),)
LONG = GIVE_UP * 2  # a deadline that no test should reach


def post_to(url: str, body: bytes = b"{}", headers: tuple[tuple[str, str], ...] = JSON) -> Post:
    return Post(parse_target(url, PRIVATE), headers, body)


def send(client: Client, post: Post, *, deadline: float = LONG) -> Outcome:
    [(_, outcome)] = client.send([(None, post)], deadline=deadline)
    return outcome


class Dialler:
    """Records every address that a socket is requested for, and opens none."""

    def __init__(self) -> None:
        self.dialled: list[str] = []

    def __call__(self, peer: pycurl.CurlSockAddr) -> socket.socket:
        self.dialled.append(str(peer.addr[0]))
        raise OSError("tests open no socket here")
