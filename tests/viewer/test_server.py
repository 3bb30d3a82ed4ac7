"""Where the viewer listens."""

import logging
import socket

import pytest

from sightline.foundation.errors import InputError
from sightline.viewer import server


def test_a_port_in_use_is_refused_by_its_number():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"{port} is in use.*--port 0"):
            server.open_server(port=port)


@pytest.mark.parametrize(
    ("host", "port"), [("127.0.0.1", 70000), ("203.0.113.7", 0), ("no-such-host.invalid", 0)]
)
def test_what_cannot_be_listened_at_is_refused(host, port):
    with pytest.raises(InputError):
        server.check_address(host, port)


def test_only_this_machine_is_let_in_and_nothing_is_printed(capsys):
    opened = server.open_server(port=0)
    try:
        port = opened.get_port()
        assert port > 0
        assert opened.get_host() == "127.0.0.1"
        # Sharing would send the scene through another machine.
        assert opened.request_share_url() is None
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass
    finally:
        server.stop_server(opened)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("origin", "host", "address", "own"),
    [
        ("http://127.0.0.1:7007", "127.0.0.1:7007", "127.0.0.1", True),
        # Through ssh -L with another port.
        ("http://localhost:8000", "localhost:8000", "127.0.0.1", True),
        ("http://[::1]:7007", "[::1]:7007", "::1", True),
        (None, "127.0.0.1:7007", "127.0.0.1", True),
        ("https://example.org", "127.0.0.1:7007", "127.0.0.1", False),
        ("http://localhost:8888", "localhost:7007", "127.0.0.1", False),
        ("null", "127.0.0.1:7007", "127.0.0.1", False),
        # A name of another site that leads here.
        ("http://example.org:7007", "example.org:7007", "127.0.0.1", False),
        ("http://server:7007", "server:7007", "0.0.0.0", True),
        ("http://example.org", "server:7007", "0.0.0.0", False),
    ],
)
def test_pages_of_other_sites_are_known(origin, host, address, own):
    assert server.comes_from(origin, host, address) is own


def test_it_is_told_how_to_get_there(caplog):
    with caplog.at_level(logging.INFO, logger="sightline"):
        assert server.announce("127.0.0.1", 7007) == "http://127.0.0.1:7007"
        assert "ssh -L 7007:localhost:7007" in caplog.text
        caplog.clear()
        assert server.announce("0.0.0.0", 7008) == "http://localhost:7008"
        assert [record.levelname for record in caplog.records].count("WARNING") == 1


def test_a_missing_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "viser", None)
    with pytest.raises(InputError, match=r'pip install "sightline\[viewer\]"'):
        server.load_viser()
