# SPDX-License-Identifier: BSD-3-Clause
"""Configurations for the tests, as dictionaries; JSON is YAML, so json.dumps writes them."""
import base64
import hashlib
import json

from lablib import topology

OVERLAY = {"v4": "100.64.0.{}", "v6": "fd64::{}"}


def overlay(number, family="v4"):
    """The overlay address of client<number>."""
    return OVERLAY[family].format(10 + number)


def peer(number, public_key, groups):
    return {"public_key": public_key, "groups": groups,
            "addresses": [overlay(number, "v4"), overlay(number, "v6")]}


def crowd(count, both=False):
    """Peers by the thousand, whose private keys nobody has; with addresses of both families, or of
    IPv4 only."""
    def addresses(number):
        v4 = f"100.64.{1 + number // 250}.{1 + number % 250}"
        return [v4, f"fd64::1:{number:x}"] if both else [v4]

    return {f"extra{number}": {
        "public_key": base64.b64encode(hashlib.sha256(b"%d" % number).digest()).decode(),
        "groups": ["everyone"], "addresses": addresses(number)} for number in range(count)}


def ports(queues=1):
    gateways = list(topology.INTERNET_ROUTER.values())
    return {name: {"device": f"net_af_packet_{name},iface={name}",
                   "addresses": list(topology.GATEWAY[name]), "queues": queues,
                   **({"gateways": gateways} if name == "inet" else {})}
            for name in topology.PORTS}


def exit_node(clients, workers=1):
    """An exit node for every client: clients 1 and 2 each have an egress address of their own.
    `clients` maps node names to lablib.client.Client."""
    numbers = {name: int(name.removeprefix("client")) for name in clients}
    return {
        "version": 1,
        "gateway": {"name": "gw"},
        "dataplane": {"workers": workers, "memory_mib": 512, "idle": "adaptive"},
        # several workers share ports of fewer queues, so that packets come to the wrong ones
        "ports": ports(2 if workers > 1 else 1),
        "wireguard": {"interface": "sp0", "private_key_file": "gateway.key",
                      "listen_port": topology.LISTEN_PORT,
                      "addresses": ["100.64.0.1/24", "fd64::1/64"]},
        "groups": {"everyone": {}},
        "peers": {name: peer(numbers[name], client.public_key, ["everyone"])
                  for name, client in clients.items()},
        "exit_nodes": {"internet": {"offer_to": ["everyone"]}},
        "egress": {
            "pools": {f"of-{name}": {"addresses": list(addresses.values())}
                      for name, addresses in topology.EGRESS.items() if name in clients},
            "rules": [{"from": {"peers": [name]}, "use": f"of-{name}"}
                      for name in topology.EGRESS if name in clients],
            "default": "deny",
        },
        "policies": [
            {"name": "internet", "from": {"groups": ["everyone"]},
             "to": {"exit_nodes": ["internet"]}, "action": "allow"},
            {"name": "ping-the-gateway", "from": {"groups": ["everyone"]}, "to": {"host": True},
             "protocol": "icmp", "action": "allow"},
        ],
    }


def berlin_london(clients, workers=1):
    """client1 and client2 reach the same range, 10.30.0.0/16, through client3 and client4; client2
    the internet as well."""
    config = exit_node(clients, workers)
    config["exit_nodes"]["internet"]["offer_to"] = ["london"]
    config["policies"][0]["from"]["groups"] = ["london"]
    config["groups"] = {g: {} for g in ("everyone", "berlin", "london", "routers")}
    for name, group in (("client1", "berlin"), ("client2", "london"), ("client3", "routers"),
                        ("client4", "routers")):
        config["peers"][name]["groups"] = [group]
    for city, router in (("berlin", "client3"), ("london", "client4")):
        config.setdefault("routes", {})[f"office-{city}"] = {
            "network": f"office-{city}", "prefixes": ["10.30.0.0/16"],
            "via": {"peers": [router]}, "masquerade": False, "distribute_to": [city]}
        config["policies"].append(
            {"name": f"to-{city}", "from": {"groups": [city]},
             "to": {"routes": [f"office-{city}"]}, "action": "allow"})
    return config


def two_routers(clients, workers=1):
    """client1 reaches an office through client2, and through client3 while that one is down; and a
    hall the same way, masqueraded."""
    config = exit_node(clients, workers)
    config["groups"] = {g: {} for g in ("everyone", "users", "routers")}
    for name, peer_ in config["peers"].items():
        peer_["groups"] = ["users" if name == "client1" else "routers"]
    config["routes"] = {f"{place}-{router}": {
        "network": place, "prefixes": [f"10.{number}.0.0/24", f"fd{number}::/64"],
        "via": {"peers": [router]}, "masquerade": place == "hall", "metric": metric,
        "distribute_to": ["users"]} for router, metric in (("client2", 10), ("client3", 20))
        for place, number in (("office", 30), ("hall", 40))}
    config["failover"] = {"dead_after_s": 5, "return_after_s": 5}
    config["policies"].append({"name": "to-office", "from": {"groups": ["users"]},
                               "to": {"routes": list(config["routes"])}, "action": "allow"})
    return config


def mapped_sites(clients, workers=1):
    """client1 reaches what is behind client2 and client3; both have the same ranges there."""
    config = exit_node(clients, workers)
    config["groups"] = {g: {} for g in ("everyone", "users", "routers")}
    for name, peer_ in config["peers"].items():
        peer_["groups"] = ["users" if name == "client1" else "routers"]
    for number, router in ((1, "client2"), (2, "client3")):
        config.setdefault("routes", {})[f"site-{number}"] = {
            "prefixes": [f"10.20{number}.0.0/24", f"fdaa:{number}::/64"],
            "map": ["192.168.1.0/24", "fd01::/64"], "via": {"peers": [router]},
            "masquerade": False, "distribute_to": ["users", "routers"]}
    sites = list(config["routes"])
    config["routes"]["public"] = {
        "prefixes": ["2001:db8:1::/48"], "map": ["fd01:203:405::/48"], "nptv6": True,
        "via": {"peers": ["client2"]}, "masquerade": False}
    config["exit_nodes"]["internet"]["offer_to"] = ["everyone", "routers"]
    config["policies"][0]["from"]["groups"] = ["everyone", "routers"]
    config["policies"] += [
        {"name": "to-sites", "from": {"groups": ["users", "routers"]}, "to": {"routes": sites},
         "action": "allow"},
        {"name": "from-the-internet", "from": {"port": "inet"}, "to": {"routes": ["public"]},
         "action": "allow"},
        {"name": "from-sites", "from": {"groups": ["routers"]}, "to": {"groups": ["users"]},
         "action": "allow"}]
    return config


def write(config, path):
    path.write_text(json.dumps(config, indent=2) + "\n")
    return path
