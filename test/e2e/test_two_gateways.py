# SPDX-License-Identifier: BSD-3-Clause
"""Two of these gateways as a pair of sites, each with an office of its own: no client at all."""
import copy

import pytest
import yaml
from bare import Bare
from conftest import ROOT, SHAPES, log_folder, needs_programs
from lablib.internet import start_web
from lablib.netns import run, wait_until

HOST = {"east": "10.20.0.10", "west": "10.30.0.10"}
WAN = {"east": "198.51.100.2", "west": "198.51.100.3"}
OVERLAY = {"east": "100.64.0.1", "west": "100.64.0.13"}
OTHER = {"east": "west", "west": "east"}


def site_config(name, other_key, workers, queues):
    """config/site-to-site.yaml as it is for headquarters, and turned round for the other end."""
    config = copy.deepcopy(yaml.safe_load((ROOT / "config/site-to-site.yaml").read_text()))
    other = OTHER[name]
    del config["tests"]
    config["dataplane"] = {"workers": workers, "memory_mib": 256, "idle": "adaptive"}
    config["peers"]["berlin"] = {"public_key": other_key, "groups": ["sites"],
                                 "addresses": [OVERLAY[other]], "endpoint": f"{WAN[other]}:51820"}
    config["wireguard"]["addresses"] = [f"{OVERLAY[name]}/24"]
    config["ports"]["wan"]["addresses"] = [f"{WAN[name]}/24"]
    for port in config["ports"].values():
        port["queues"] = queues
    here, there = (f"{HOST[site].rsplit('.', 1)[0]}." for site in (name, other))
    config["ports"]["lan"]["addresses"] = [f"{here}1/24"]
    config["routes"]["headquarters"]["prefixes"] = [f"{here}0/24"]
    config["routes"]["berlin"]["prefixes"] = [f"{there}0/24"]
    config["policies"][0]["from"] = {"prefixes": [f"{there}0/24"]}
    return config


def build(sites, workers, queues):
    keys = {name: run(["wg", "genkey"]).stdout for name in sites}
    public = {name: run(["wg", "pubkey"], input=key).stdout.strip() for name, key in keys.items()}
    east, west = (site.lab.ns("gateway") for site in sites.values())
    run(["ip", "link", "add", "wan", "netns", east, "type", "veth", "peer", "name", "wan", "netns",
         west])
    for name, site in sites.items():
        site.lab.add_node("host")
        site.lab.wire("gateway", "lan", "host", "eth0")
        for port in ("wan", "lan"):
            site.lab.ip_batch("gateway", f"link set {port} addrgenmode none", f"link set {port} up")
        site.lab.ip_batch("host", "link set eth0 up", f"addr add {HOST[name]}/24 dev eth0",
                          f"route add default via {HOST[name][:-1]}")
        start_web(site.lab, site.logs, "host")
        gateway = site.make_gateway(site_config(name, public[OTHER[name]], workers, queues),
                                    workers=workers)
        key = gateway.state_dir / "gateway.key"
        key.write_text(keys[name])
        key.chmod(0o600)
    for site in sites.values():
        site.gateway.start()


def both_counted(gateway):
    """Packets went both ways by the route to the other site, and by that of the own office."""
    return all(route["packets"] and route["reply_packets"]
               for route in gateway.json("routes")["routes"])


def seen(site, name):
    """As whom the other site's host knows this one's, or nothing."""
    return site.lab.run("host", "curl", "-sS", "-m", "5", f"http://{HOST[OTHER[name]]}/",
                        check=False).stdout.strip()


def handoffs(site):
    return sum(w["handoff_out"] for w in site.gateway.json("status")["workers"])


@pytest.mark.parametrize("shape", SHAPES)
def test_hosts_of_both_sites_know_each_other_by_their_own_addresses(request, shape):
    needs_programs()
    sites = {}
    try:
        for name in HOST:
            sites[name] = Bare(log_folder(request) / name)
            sites[name].up()
        request.node.worlds = list(sites.values())
        build(sites, **shape)
        for name, site in sites.items():
            assert wait_until(lambda s=site, n=name: seen(s, n), 30, f"an answer to {name}",
                              0.2) == HOST[name]
        for name, site in sites.items():
            wait_until(lambda gateway=site.gateway: both_counted(gateway), 30, "the counters", 0.2)
            # Each connection has a home of its own; the first ones may be where they came in.
            if shape["workers"] > 1:
                wait_until(lambda s=site, n=name: seen(s, n) and handoffs(s) > 0, 30, "hand-offs",
                           0.2)
            else:
                assert handoffs(site) == 0
    finally:
        for site in sites.values():
            site.down()
