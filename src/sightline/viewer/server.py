"""The web server: one port, this machine alone unless told otherwise, and what to type to get there."""

import contextlib
import io
import socket
from typing import Any
from urllib.parse import urlsplit

from sightline.foundation.errors import InputError, inform, warn

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 7007
_HERE = ("127.0.0.1", "localhost", "::1")


def load_viser() -> Any:
    """Import viser; InputError says how to get it."""
    try:
        import viser
    except ImportError as error:
        raise InputError(
            f"The viewer needs the package viser, which cannot be loaded ({error})",
            fix='Install it: pip install "sightline[viewer]"',
        ) from error
    return viser


def open_server(host: str = DEFAULT_HOST, port: int = DEFAULT_PORT) -> Any:
    """Start the server and give it (a `viser.ViserServer`).

    Args:
        host: address to listen at; 0.0.0.0 for all.
        port: 0 for any that is free.

    Raises:
        InputError: viser is missing, the port is in use, or this machine has no such address.
    """
    viser = load_viser()
    check_address(host, port)

    class Server(viser.ViserServer):
        """Never shared through other people's machines, which any page that reaches it could ask for."""

        def request_share_url(self, verbose: bool = True) -> str | None:
            return None

    with quiet():
        server = Server(host=host, port=port, label="Sightline", verbose=False)
    if port not in (0, server.get_port()):
        stop_server(server)
        raise _in_use(port)
    return server


def stop_server(server: Any) -> None:
    """Stop it, and every connection to it."""
    with quiet():
        server.stop()


def is_own_page(server: Any, client: int, address: str) -> bool:
    """Whether a browser that has connected shows the viewer's own page, not one of another site."""
    # The library does not hand out what a browser said of itself when it connected.
    connection = server._websock_server._live_connections.get(client)
    headers = {} if connection is None or connection.request is None else connection.request.headers
    return comes_from(headers.get("Origin"), headers.get("Host"), address)


def comes_from(origin: str | None, host: str | None, address: str) -> bool:
    """Whether a page's origin is that of the server which it asks.

    Args:
        origin: what browsers say for every page; None of other programs.
        host: what the page calls the server.
        address: where the server listens. One for this machine alone is called by no other name.
    """
    if origin is None or host is None:
        return True
    name = urlsplit(f"//{host}").hostname
    return urlsplit(origin).netloc == host and (address not in _HERE or name in _HERE)


def quiet() -> contextlib.redirect_stdout:
    """Keep the library's own announcements off the user's results."""
    return contextlib.redirect_stdout(io.StringIO())


def announce(host: str, port: int) -> str:
    """Tell where the viewer is, also from another machine; gives the address."""
    local = host if host in _HERE else "localhost" if host in ("0.0.0.0", "::") else host
    url = f"http://{f'[{local}]' if ':' in local else local}:{port}"
    inform(f"The viewer is at {url}")
    if host in _HERE:
        inform(
            f"From another machine: ssh -L {port}:localhost:{port} {socket.gethostname()}, then that address"
        )
    else:
        warn(f"Anybody who reaches port {port} of {host} sees the scene, and can export it and save paths")
    inform("Ctrl-C ends it")
    return url


def check_address(host: str, port: int) -> None:
    """Raise InputError where nothing can listen at an address and port."""
    if not 0 <= port <= 65535:
        raise InputError(f"There is no port {port}", where="--port", fix="Give one from 1024 to 65535, or 0")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        # As the server itself does, so that a port that was just freed counts as free.
        if hasattr(socket, "SO_REUSEPORT"):
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except PermissionError as error:
            raise InputError(
                f"Port {port} is kept for the system", where="--port", fix="Give one above 1023"
            ) from error
        except socket.gaierror as error:
            raise InputError(f"There is no host {host!r}", where="--host") from error
        except OSError as error:
            if isinstance(error, OSError) and error.errno in _UNKNOWN_ADDRESS:
                raise InputError(f"This machine has no address {host}", where="--host") from error
            raise _in_use(port) from error


# EADDRNOTAVAIL of Linux, macOS and Windows.
_UNKNOWN_ADDRESS = (99, 49, 10049)


def _in_use(port: int) -> InputError:
    return InputError(
        f"Port {port} is in use, perhaps by another viewer",
        where=f"--port {port}",
        fix="Give another one, or --port 0 for any that is free",
    )
