# SPDX-License-Identifier: BSD-3-Clause
"""Who stands where in the lab, with which addresses. Plain data; config/exit-node.yaml and the
end-to-end tests use the same figures."""

PORTS = ("wan", "inet", "lan")  # the gateway's ports: veth ends without any address
WAN = {"v4": "198.51.100.2", "v6": "2001:db8:100::2"}
LISTEN_PORT = 51820
EGRESS = {"client1": {"v4": "203.0.113.5", "v6": "2001:db8:203::5"},
          "client2": {"v4": "203.0.113.6", "v6": "2001:db8:203::6"}}
INTERNET = {"v4": "203.0.113.80", "v6": "2001:db8:203::80"}
FAR = {"v4": "192.0.2.80", "v6": "2001:db8:80::80"}  # behind the internet router
LAN_HOST = {"v4": "10.20.0.10", "v6": "fd20::10"}

# What the gateway of the reference (wireguard-go and nftables) has on its ports. Sallyport's own
# addresses come from its configuration and stand on the TAP twins sp-wan, sp-inet, sp-lan.
GATEWAY = {
    "wan": ("198.51.100.2/24", "2001:db8:100::2/64"),
    "inet": ("203.0.113.2/24", "2001:db8:203::2/64"),
    "lan": ("10.20.0.1/24", "fd20::1/64"),
}
INTERNET_ROUTER = {"v4": "203.0.113.1", "v6": "2001:db8:203::1"}
ROUTER = {
    "home": ("192.168.77.1/24", "fd77::1/64"),
    "uplink": ("198.51.100.1/24", "2001:db8:100::1/64"),
}
# The router's address is "deprecated" so that the host does not answer with it when asked by the
# other.
HOSTS = {
    "internet": ("203.0.113.80/24", "203.0.113.1/24", "2001:db8:203::80/64",
                 "2001:db8:203::1/64 preferred_lft 0"),
    "lan-host": ("10.20.0.10/24", "fd20::10/64"),
}
FAR_ADDRESSES = ("192.0.2.80/32", "2001:db8:80::80/128")


def client_addresses(number):
    return (f"192.168.77.{10 + number}/24", f"fd77::{10 + number}/64")


PICTURE = """\
  client1, client2        router                    gateway                     internet host
  192.168.77.11, .12      192.168.77.1              wan  198.51.100.2           203.0.113.80
  fd77::11, ::12          fd77::1                        2001:db8:100::2        2001:db8:203::80
                          198.51.100.1              inet 203.0.113.5, .6
  +--------+              +--------+                     2001:db8:203::5, ::6   +----------+
  | wg0    |--------------| masq.  |------------wan +----------+ inet-----------| http     |
  +--------+              +--------+                |sallyport |                | iperf3   |
      :.......... WireGuard, UDP port 51820 ........|dataplane |                +----------+
                                                    +----------+ lan---- lan-host 10.20.0.10
                                                    |sallyportd|                 fd20::10
                                                    +----------+
"""
