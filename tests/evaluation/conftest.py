"""No test here reaches for the network."""

import pytest


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("nothing"))
    monkeypatch.setenv("SIGHTLINE_OFFLINE", "1")
    monkeypatch.setenv("SIGHTLINE_CACHE", folder)
    monkeypatch.setenv("TORCH_HOME", folder)
    monkeypatch.delenv("SIGHTLINE_WEIGHTS", raising=False)
