"""The web server of the page: started on the port that was asked for and no other, and silent."""

import contextlib
import errno
import io
import socket
from typing import TYPE_CHECKING

from motiongan.errors import MotionganError

if TYPE_CHECKING:
    import viser


def start_server(host: str, port: int) -> "viser.ViserServer":
    """A running server. Raises MotionganError where viser is missing, or the address cannot be had.

    port   0: any free one, which `get_port` tells
    """
    try:
        import viser
    except ImportError:
        raise MotionganError("view needs viser, which is not installed; pip install 'motiongan[view]'") from None
    check_address(host, port)

    class LocalServer(viser.ViserServer):
        """Never publishes the page through viser's relay on the internet, whatever a browser asks for."""

        def request_share_url(self, verbose: bool = True) -> str | None:
            return None

    with contextlib.redirect_stdout(io.StringIO()):  # viser's own banner
        server = LocalServer(host=host, port=port, label="motiongan", verbose=False)
    if port and server.get_port() != port:  # taken by another between the check and the start: viser moves on
        stop_server(server)
        raise MotionganError(_taken(host, port))
    return server


def stop_server(server: "viser.ViserServer") -> None:
    """End the server and its thread."""
    with contextlib.redirect_stdout(io.StringIO()):
        server.stop()


def check_address(host: str, port: int) -> None:
    """Raise MotionganError where no server can listen at this address: viser itself would take another port."""
    if not 0 <= port <= 65535:
        raise MotionganError(f"--port {port}: expected 1 to 65535, or 0 for any free port")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the server does it: a port that closed a minute ago is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except (socket.gaierror, UnicodeError):
        raise MotionganError(f"--host {host}: no such address; 127.0.0.1 is this machine alone") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise MotionganError(_taken(host, port)) from None
        if error.errno == errno.EACCES:
            raise MotionganError(f"--port {port}: not yours to use; take one above 1023, such as 8080") from None
        raise MotionganError(
            f"--host {host}: not an address of this machine; 127.0.0.1 shows the page here alone, 0.0.0.0 to all"
        ) from None


def page_address(host: str, port: int) -> str:
    """What to open in a browser."""
    if host in ("0.0.0.0", "::", ""):
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_local(host: str) -> bool:
    """Whether only programs of this machine reach an address."""
    return host in ("localhost", "::1") or host.startswith("127.")


def _taken(host: str, port: int) -> str:
    return f"--port {port}: in use at {host}; end what runs there, or give another, such as --port {port % 65535 + 1}"
