"""The address of the page: every way in which it cannot be had is one line."""

import socket

import pytest

from motiongan.errors import MotionganError
from motiongan.viewer.server import check_address, is_local, page_address, start_server, stop_server


@pytest.fixture
def taken_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_taken_port_is_refused_with_another_one_named(taken_port):
    with pytest.raises(MotionganError, match=f"--port {taken_port}: in use .* --port {taken_port + 1}"):
        check_address("127.0.0.1", taken_port)


@pytest.mark.parametrize(
    ("host", "port", "words"),
    [
        ("127.0.0.1", -1, "--port -1: expected 1 to 65535"),
        ("127.0.0.1", 65536, "--port 65536: expected 1 to 65535"),
        ("no such host", 0, "--host no such host: no such address"),
        ("192.0.2.1", 0, "--host 192.0.2.1: not an address of this machine"),  # reserved for documentation
    ],
)
def test_an_address_that_cannot_be_had_is_told(host, port, words):
    with pytest.raises(MotionganError) as caught:
        check_address(host, port)
    assert words in str(caught.value)


def test_a_free_port_is_left_free_by_the_check():
    check_address("127.0.0.1", 0)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    check_address("127.0.0.1", port)
    check_address("127.0.0.1", port)


def test_the_address_to_open_is_one_that_a_browser_takes():
    assert page_address("127.0.0.1", 8080) == "http://127.0.0.1:8080"
    assert page_address("0.0.0.0", 80) == "http://localhost:80"
    assert page_address("::1", 80) == "http://[::1]:80"


def test_only_loopback_addresses_are_local():
    assert all(is_local(host) for host in ("127.0.0.1", "127.0.1.1", "localhost", "::1"))
    assert not any(is_local(host) for host in ("0.0.0.0", "192.168.0.2", "::"))


def test_a_server_listens_at_its_own_address_only_and_never_shares_it(capfd):
    pytest.importorskip("viser")
    server = start_server("127.0.0.1", 0)
    try:
        port = server.get_port()
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.2", port), timeout=5)
        with pytest.raises(MotionganError, match="in use"):
            start_server("127.0.0.1", port)
        assert server.request_share_url() is None
    finally:
        stop_server(server)
    assert capfd.readouterr().out == ""
