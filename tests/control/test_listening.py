"""The process behind a port of this machine is found before anybody talks to its gdbserver."""

from __future__ import annotations

import socket

import pytest

from fixtures import USUAL, build, start
from inspector.control.listening import process_behind
from tests.support.gdbservers import gdbserver, needs_gdbserver


def port_of(endpoint: str) -> int:
    return int(endpoint.rpartition(":")[2])


@needs_gdbserver
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_process_that_a_gdbserver_holds_is_found_by_its_port(tmp_path, host):
    with start(build("census", USUAL), "2") as running, gdbserver(tmp_path, "--attach", running.pid) as server:
        assert process_behind(host, port_of(server.endpoint)) == running.pid


@needs_gdbserver
def test_a_gdbserver_that_holds_no_process_has_none_behind_it(tmp_path):
    with gdbserver(tmp_path, "--multi") as server:
        assert process_behind("127.0.0.1", port_of(server.endpoint)) is None


def test_another_program_that_listens_has_no_process_behind_it():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert process_behind("127.0.0.1", listening.getsockname()[1]) is None


@needs_gdbserver
def test_an_address_of_another_machine_has_no_process_of_this_one_behind_it(tmp_path):
    with start(build("census", USUAL), "2") as running, gdbserver(tmp_path, "--attach", running.pid) as server:
        assert process_behind("192.0.2.1", port_of(server.endpoint)) is None
