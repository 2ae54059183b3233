"""Which addresses are public: special blocks are denied as a whole, in any spelling or embedding."""

import ipaddress
from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthorn.domain.errors import RefusedTarget
from posthorn.transport.blocked_networks import refusal
from posthorn.transport.targets import check_address
from tests.unit.transport.posts import PRIVATE, PUBLIC
from tests.unit.transport.vectors import DENIED_IPV4, DENIED_IPV6, is_public


class TestTable:
    @pytest.mark.parametrize("block", [*DENIED_IPV4, *DENIED_IPV6], ids=str)
    def test_a_block_is_denied_from_its_first_address_to_its_last(
        self, block: ipaddress.IPv4Network | ipaddress.IPv6Network
    ) -> None:
        """Every special block is denied from its first address to its last."""
        assert refusal(str(block[0])) is not None
        assert refusal(str(block[block.num_addresses // 2])) is not None
        assert refusal(str(block[-1])) is not None

    @pytest.mark.parametrize("block", [*DENIED_IPV4, *DENIED_IPV6], ids=str)
    def test_a_block_ends_where_it_ends(self, block: ipaddress.IPv4Network | ipaddress.IPv6Network) -> None:
        """The addresses next to a special block are judged on their own."""
        neighbours = [int(block[0]) - 1, int(block[-1]) + 1]
        for number in neighbours:
            if 0 <= number < 2**block.max_prefixlen:
                address = str(type(block[0])(number))
                assert (refusal(address) is None) == is_public(address), address

    @given(st.ip_addresses().map(str))
    def test_agrees_with_the_ranges_of_the_vectors(self, address: str) -> None:
        """An address is public exactly if the published ranges say so."""
        assert (refusal(address) is None) == is_public(address)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "localhost",
            "127.1",
            "0x7f.0.0.1",
            "010.8.8.8",
            "8.8.8.8 ",
            "8.8.8.8\n",
            "fe80::1%eth0",
            "8.8.8.8\0",
            "٨.8.8.8",
        ],
    )
    def test_other_texts_are_refused(self, text: str) -> None:
        """A spelling that only some C libraries parse is not an address, not even for private targets."""
        for policy in (PUBLIC, PRIVATE):
            with pytest.raises(RefusedTarget):
                check_address(text, policy)

    def test_private_addresses_are_for_the_local_policy(self) -> None:
        """Loopback is refused, with the rule named, unless private targets are allowed."""
        check_address("127.0.0.1", PRIVATE)
        with pytest.raises(RefusedTarget, match="loopback") as refused:
            check_address("127.0.0.1", PUBLIC)
        assert refused.value.code == "blocked_address"


def _groups(number: int) -> str:
    return f"{number >> 16:x}:{number & 0xFFFF:x}"


EMBEDDINGS: Final[dict[str, Callable[[int], str]]] = {
    "mapped": lambda ip: f"::ffff:{_groups(ip)}",
    "compatible": lambda ip: f"::{_groups(ip)}",
    "translated": lambda ip: f"::ffff:0:{_groups(ip)}",
    "nat64": lambda ip: f"64:ff9b::{_groups(ip)}",
    "local nat64": lambda ip: f"64:ff9b:1::{_groups(ip)}",
    "6to4": lambda ip: f"2002:{_groups(ip)}::1",
    "teredo server": lambda ip: f"2001:0:{_groups(ip)}::1",
    "teredo client": lambda ip: f"2001::{_groups(ip ^ 0xFFFFFFFF)}",
    "isatap": lambda ip: f"fe80::5efe:{_groups(ip)}",
}

denied_ipv4 = st.sampled_from(DENIED_IPV4).flatmap(
    lambda block: st.integers(min_value=int(block[0]), max_value=int(block[-1]))
)


@given(denied_ipv4, st.sampled_from(sorted(EMBEDDINGS)))
def test_an_embedded_address_is_denied_with_the_address(ip: int, embedding: str) -> None:
    """A denied IPv4 address stays denied when embedded in IPv6, in every known form."""
    assert refusal(str(ipaddress.IPv4Address(ip))) is not None
    assert refusal(EMBEDDINGS[embedding](ip)) is not None
