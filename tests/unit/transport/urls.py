"""URLs as people write them, good and bad, for Hypothesis."""

from hypothesis import strategies as st

# fmt: off
pieces = st.sampled_from([
    "https://", "http://", "//", "/", "\\", "@", ":", "::", "[", "]", "%", "%2f", "%00", "#", "?", "&", ";", ".", "..",
    "。", "443", "8443", "80", "127.0.0.1", "0x7f", "1", "::1", "[::1]", "8.8.8.8", "acme.com", "localhost", "a-", "-a",
    "_", "xn--", "xn--bcher-kva", "🦊", "é", " ", "'", "(", "*", "+", ",", "=", "!", "$", "~", "|", "^", "{", "}",
])
hosts = st.one_of(
    st.sampled_from(["a.acme.com", "ACME.com", "_x.xn--bcher-kva.com", "1.0x7f.acme.com", "8.8.8.8", "[2606:4700::1]",
                     "localhost", "127.0.0.1", "[::1]"]),
    st.lists(st.sampled_from(["a", "A-1", "_x", "1", "0x7f", "127", "com", "."]), min_size=1, max_size=4).map(".".join),
)
# fmt: on
plausible = st.builds(
    "{}://{}{}{}{}".format,
    st.sampled_from(["https", "HTTPS", "http"]),
    hosts,
    st.sampled_from(["", ":443", ":8443", ":80", ":65535"]),
    st.sampled_from(["", "/", "?", "/?", "//", "/../"]),
    st.text(
        st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"#<>\\^`{|}'), max_size=8
    ),
)
urls = st.one_of(
    plausible,
    plausible,
    plausible.flatmap(lambda url: pieces.map(lambda piece: url + piece)),
    st.lists(pieces, max_size=6).map(lambda some: "https://" + "".join(some)),
    st.lists(pieces, max_size=8).map("".join),
)
