import pytest

from flow_server_sdk import AsyncFlowServerSdk, FlowServerSdk
from flow_server_sdk.address import is_loopback


@pytest.mark.parametrize("sdk_class", [FlowServerSdk, AsyncFlowServerSdk])
@pytest.mark.parametrize(
    ("host", "port", "address"),
    [
        ("127.0.0.1", "1235", "127.0.0.1:1235"),
        ("flow.example", 1235, "flow.example:1235"),
        ("::1", 1235, "[::1]:1235"),
        ("[::1]", " 1235 ", "[::1]:1235"),
    ],
)
def test_host_and_port_become_an_address(sdk_class, host, port, address):
    assert sdk_class(host=host, port=port).address == address


def test_two_clients_keep_their_own_addresses():
    first, second = FlowServerSdk("127.0.0.1", 1), FlowServerSdk("127.0.0.1", 2)
    assert (first.address, second.address) == ("127.0.0.1:1", "127.0.0.1:2")


@pytest.mark.parametrize(
    ("host", "port", "error"),
    [
        ("", 1235, ValueError),
        ("http://flow", 1235, ValueError),
        ("flow:1235", 1235, ValueError),
        ("flow server", 1235, ValueError),
        ("flow", 0, ValueError),
        ("flow", 65_536, ValueError),
        ("flow", "a", ValueError),
        ("flow", "²", ValueError),
        ("flow", True, TypeError),
        ("flow", None, TypeError),
        (b"flow", 1235, TypeError),
    ],
)
def test_what_is_no_address_is_refused_at_once(host, port, error):
    with pytest.raises(error, match=r"^(host|port): "):
        FlowServerSdk(host, port)


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan")])
def test_a_timeout_that_is_none_is_refused_at_once(timeout_s):
    with pytest.raises(ValueError, match="timeout_s"):
        FlowServerSdk("127.0.0.1", 1235, timeout_s=timeout_s)


def test_loopback_is_known_by_number_and_name():
    assert is_loopback("127.0.0.1:1")
    assert is_loopback("[::1]:1")
    assert is_loopback("localhost:1")
    assert not is_loopback("10.0.0.1:1")
    assert not is_loopback("flow.example:1")
