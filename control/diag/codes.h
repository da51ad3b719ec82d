/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every code of a finding: number, name, severity, title, explanation. Numbers are for ever: a
 * retired one is not used again. 01xx: the file as YAML; 02xx: a value; 03xx: what objects say
 * about each other; 04xx: files of keys; 05xx: warnings; 06xx: wg-quick files; 11xx: the state of a
 * running gateway.
 */
#pragma once

#define DIAG_CODES(X)                                                                              \
	X(101, SYNTAX, DIAG_ERROR, "not YAML",                                                     \
		"The file cannot be read as YAML from this place on. Only this finding is shown, " \
		"since nothing after it can be trusted.")                                          \
	X(102, TAB, DIAG_ERROR, "tab in the indentation",                                          \
		"YAML forbids tabs where indentation is meant. Use spaces.")                       \
	X(103, ANCHOR, DIAG_ERROR, "anchors, aliases, tags and merge keys are not used here",      \
		"An alias makes the place of a value ambiguous and lets a small file grow "        \
		"without "                                                                         \
		"bound. Write the value where it is meant; use groups to share.")                  \
	X(104, DUPLICATE_KEY, DIAG_ERROR, "the same key twice",                                    \
		"A mapping holds each key once. Most YAML readers silently keep the last one, "    \
		"which is how a rule gets lost.")                                                  \
	X(105, DOCUMENTS, DIAG_ERROR, "more than one document",                                    \
		"The file holds exactly one YAML document: remove '---' separators after the "     \
		"first.")                                                                          \
	X(106, YAML_TRAP, DIAG_ERROR, "a value that YAML readers understand differently",          \
		"Unquoted yes, no, on, off, null, 010, 0x1f, 1_000 or 22:22 mean a boolean, "      \
		"nothing, "                                                                        \
		"or a number to one YAML reader and text to another. Write true or false for a "   \
		"boolean, a plain decimal for a number, and quotes around text.")                  \
	X(107, TOO_DEEP, DIAG_ERROR, "nested too deeply, or too large",                            \
		"No configuration needs more than 16 levels or a file above 256 MiB.")             \
	X(108, ENCODING, DIAG_ERROR, "not UTF-8 text",                                             \
		"The file must be UTF-8 without control characters.")                              \
	X(201, UNKNOWN_KEY, DIAG_ERROR, "unknown key",                                             \
		"Keys are strict: a misspelt one would otherwise be a setting that silently has "  \
		"no "                                                                              \
		"effect.")                                                                         \
	X(202, MISSING_KEY, DIAG_ERROR, "a required key is missing",                               \
		"The object cannot work without this key; the message names it.")                  \
	X(203, WRONG_KIND, DIAG_ERROR, "a value of the wrong kind",                                \
		"A mapping {key: value}, a list [a, b] or a single value is expected here, and "   \
		"another kind was found.")                                                         \
	X(204, BAD_NUMBER, DIAG_ERROR, "not a number in range",                                    \
		"A plain decimal number within the stated range is expected.")                     \
	X(205, BAD_WORD, DIAG_ERROR, "not one of the allowed words",                               \
		"The message lists the words that are allowed here.")                              \
	X(206, BAD_ADDRESS, DIAG_ERROR, "not an address",                                          \
		"An IPv4 or IPv6 address without prefix length, zone or port.")                    \
	X(207, BAD_PREFIX, DIAG_ERROR, "not a prefix",                                             \
		"An IPv4 or IPv6 prefix such as 10.30.0.0/16, with the bits after the length "     \
		"zero.")                                                                           \
	X(208, BAD_INTERFACE_ADDRESS, DIAG_ERROR, "not an interface address",                      \
		"An address with the length of its network, such as 10.20.0.1/24.")                \
	X(209, BAD_ENDPOINT, DIAG_ERROR, "not an endpoint",                                        \
		"An address or a host's name, and a UDP port: 192.0.2.1:51820, "                   \
		"[2001:db8::1]:51820 or office.example:51820. Names are asked for again and "      \
		"again, of the system's name servers or gateway.name_servers.")                    \
	X(210, BAD_KEY, DIAG_ERROR, "not a WireGuard key",                                         \
		"Keys are 44 characters of base64, as `wg genkey` and `wg pubkey` print them.")    \
	X(211, BAD_NAME, DIAG_ERROR, "not a name",                                                 \
		"Names of objects are 1 to 63 letters, digits, '-' and '_', and begin with a "     \
		"letter or digit; names of interfaces at most 15.")                                \
	X(212, BAD_PORTS, DIAG_ERROR, "not a port or a range of ports",                            \
		"A port from 1 to 65535, or a range such as 8000-8999.")                           \
	X(213, EMPTY, DIAG_ERROR, "a value is missing",                                            \
		"The key stands there without a value. Write the value, {} for an empty mapping, " \
		"or remove the key.")                                                              \
	X(214, BAD_TEXT, DIAG_ERROR, "text too long or with control characters",                   \
		"One line of text without control characters and within the stated length is "     \
		"expected.")                                                                       \
	X(215, BAD_VERSION, DIAG_ERROR, "a version that this program does not read",               \
		"The first key of the file is `version: 1`.")                                      \
	X(217, PEER_FILE, DIAG_ERROR, "a file of peers.d with something else in it",               \
		"peers.d/NAME.yaml holds `peers: {NAME: ...}` and nothing else, because "          \
		"`sallyport peer remove NAME` removes the file. Anything else belongs in conf.d.") \
	X(218, BAD_SECRET, DIAG_ERROR, "a secret in the configuration",                            \
		"Files of the configuration are shown, compared and kept in the history. Write "   \
		"${file:/absolute/path}, or ${credential:name} for a credential of the systemd "   \
		"unit (LoadCredential=), and keep the key in that file.")                          \
	X(219, BAD_FLOW_END, DIAG_ERROR, "not a destination",                                      \
		"An address, followed by ':' and a port for tcp and udp: 1.1.1.1:443, "            \
		"[2001:db8::1]:443, or 192.0.2.1 for an echo request.")                            \
	X(220, NO_EGRESS_EXPECTED, DIAG_ERROR, "a denied flow with an egress address",             \
		"`egress:` in a test says by which address or pool an allowed flow leaves; with "  \
		"`expect: deny` there is none.")                                                   \
	X(301, NOT_DEFINED, DIAG_ERROR, "refers to something that is not defined",                 \
		"The name is not among the objects of that kind in the configuration.")            \
	X(302, ADDRESS_TAKEN, DIAG_ERROR, "an address is used twice",                              \
		"Each address belongs to one peer, port or pool.")                                 \
	X(303, OUTSIDE_OVERLAY, DIAG_ERROR, "an address outside the overlay",                      \
		"Addresses of peers lie inside the networks of wireguard.addresses, so that "      \
		"nothing "                                                                         \
		"else can be mistaken for a peer.")                                                \
	X(304, KEY_TAKEN, DIAG_ERROR, "a public key is used twice",                                \
		"A peer is its public key: two peers with one key cannot be told apart.")          \
	X(305, NETWORKS_OVERLAP, DIAG_ERROR, "networks overlap that must not",                     \
		"The networks of ports and of the overlay must be disjoint, or a packet would "    \
		"have "                                                                            \
		"two places to go to.")                                                            \
	X(306, ROUTE_IS_DEFAULT, DIAG_ERROR, "a route for the whole internet",                     \
		"0.0.0.0/0, ::/0 and their halves are not routes but exit nodes, which never "     \
		"lead "                                                                            \
		"to private networks. Define an entry under exit_nodes.")                          \
	X(307, ROUTE_OVERLAPS_OVERLAY, DIAG_ERROR, "a route that covers peers",                    \
		"A route must not overlap the networks of wireguard.addresses: the peers there "   \
		"are "                                                                             \
		"reached by their own addresses.")                                                 \
	X(308, ONE_OF, DIAG_ERROR, "one of several keys is needed",                                \
		"Exactly one of the keys that the message names must be given.")                   \
	X(309, NO_PORTS_HERE, DIAG_ERROR, "ports without a protocol that has them",                \
		"`ports` needs `protocol: tcp` or `protocol: udp`.")                               \
	X(310, GATEWAY_NOT_ON_LINK, DIAG_ERROR, "a gateway outside the port's networks",           \
		"The next router must be an address of a network that the port is connected to, "  \
		"and "                                                                             \
		"not the port's own.")                                                             \
	X(311, NO_EGRESS_FAMILY, DIAG_ERROR, "an egress pool without addresses",                   \
		"A pool needs at least one address. A family without one is closed, never "        \
		"masqueraded to something else.")                                                  \
	X(312, TOO_MANY, DIAG_ERROR, "more than this version holds",                               \
		"The message says how many there may be.")                                         \
	X(313, FORWARD_ADDRESS, DIAG_ERROR, "a forward of an address that is not the gateway's",   \
		"Ports are forwarded from an address of a port or of an egress pool: what is "     \
		"sent "                                                                            \
		"to any other address does not arrive at the gateway.")                            \
	X(314, FORWARD_TARGET, DIAG_ERROR, "a forward that cannot lead there",                     \
		"Inside and outside are of one family and have as many ports as each other, and "  \
		"the inside is a peer or a host, not the gateway.")                                \
	X(315, PORTS_TAKEN, DIAG_ERROR, "ports that something else has",                           \
		"A port of an address belongs to one forward, to WireGuard, or to the gateway's "  \
		"own connections.")                                                                \
	X(316, BAD_MAP, DIAG_ERROR, "prefixes that cannot be mapped",                              \
		"`map` has one prefix for each of the route's `prefixes`, in their order, of the " \
		"same family and length: address by address, the first is known as the second. "   \
		"The route leads through peers, and what a peer has behind it is known by one "    \
		"name only.")                                                                      \
	X(317, TIMEOUT_SHORT, DIAG_ERROR, "a timeout below what the RFCs ask for",                 \
		"Shorter timers break connections that are only quiet: clients do not expect it. " \
		"`timeouts.below_rfc: true` allows them where it has to be.")                      \
	X(318, EGRESS_OPTIONS, DIAG_ERROR, "ways of mapping that exclude each other",              \
		"With endpoint-dependent mapping an outside port belongs to several inside hosts " \
		"at once, each for its own destinations, so nobody else can be let in by it.")     \
	X(330, TEST_FAILED, DIAG_ERROR, "a test of the configuration fails",                       \
		"The section `tests` says what shall become of a flow, and by this configuration " \
		"it "                                                                              \
		"would be otherwise. The message says what decides; `sallyport why` shows the "    \
		"same of the configuration in force. Correct whichever is wrong.")                 \
	X(401, KEY_FILE, DIAG_ERROR, "a key file cannot be used",                                  \
		"The file must exist, be a regular file and hold one key. Relative names are "     \
		"taken "                                                                           \
		"from the state directory.")                                                       \
	X(402, KEY_FILE_MODE, DIAG_ERROR, "a secret key file that others can read",                \
		"Private and preshared keys must be readable by their owner only: chmod 0600.")    \
	X(403, CONFIG_FILE, DIAG_ERROR, "the configuration cannot be read",                        \
		"The file must exist and be readable by the program.")                             \
	X(404, NO_VERSION, DIAG_ERROR, "a version that the history does not have",                 \
		"`sallyport history` lists the versions that are kept; the oldest ones are "       \
		"dropped.")                                                                        \
	X(501, OPEN_ROUTE, DIAG_WARNING, "a route without ACL groups is open",                     \
		"policy.routes_without_acl_groups is allow, and this route names no acl_groups: "  \
		"everyone who receives the route reaches all of it. Name acl_groups, or set "      \
		"policy.routes_without_acl_groups: deny.")                                         \
	X(502, ROUTES_OVERLAP, DIAG_WARNING, "routes overlap for the same group",                  \
		"A group receives the same range by routes of two networks. The network whose "    \
		"name "                                                                            \
		"sorts first wins, and the other one is not used by that group. Where one is to "  \
		"take over from the other, give both the same `network:`.")                        \
	X(503, NO_EFFECT, DIAG_WARNING, "an object without effect",                                \
		"Nothing can ever use this object as it stands; the message says why.")            \
	X(504, EGRESS_OFF_LINK, DIAG_WARNING, "an egress address on no port's network",            \
		"Answers reach the gateway only if the next router has a route for this address "  \
		"to "                                                                              \
		"the gateway.")                                                                    \
	X(505, HOST_PORT_TAKEN, DIAG_WARNING, "a port of the gateway's own service is forwarded",  \
		"What arrives there goes inside from now on, not to the gateway.")                 \
	X(506, CANNOT_ROUTE, DIAG_WARNING, "a routing peer that cannot forward is skipped",        \
		"The peer has `can_route: false`, as phones and clients in user space do that "    \
		"forward nothing. The route goes through the others; if there is none, it leads "  \
		"nowhere. Take the peer out of the group, or leave `can_route` out if it does "    \
		"forward.")                                                                        \
	X(507, TUNNEL_TOO_WIDE, DIAG_WARNING, "a tunnel's MTU does not fit its port",              \
		"WireGuard adds 60 bytes to a packet over IPv4 and 80 over IPv6. What a port "     \
		"does "                                                                            \
		"not take is dropped (port.too_big): connections begin and then hang. Lower the "  \
		"tunnel's mtu, or raise that of the port if its network takes more.")              \
	X(601, WGQUICK_LINE, DIAG_ERROR, "a line that is none of wg-quick's",                      \
		"Sections are [Interface] and [Peer]; other lines are KEY = VALUE with the keys "  \
		"that wg-quick(8) and wg(8) name.")                                                \
	X(602, WGQUICK_VALUE, DIAG_ERROR, "a value that wg-quick would refuse",                    \
		"The value of this key cannot be read; the message says what is allowed.")         \
	X(603, WGQUICK_MISSING, DIAG_ERROR, "something that the import needs is missing",          \
		"What is imported is the file of a server: an interface with its network, and "    \
		"peers, each with a public key and an address of its own.")                        \
	X(1101, NO_DATAPLANE, DIAG_ERROR, "no data plane",                                         \
		"sallyportd runs and nothing forwards: sallyport-dataplane is not running, or "    \
		"its "                                                                             \
		"socket is another. Look at its log; `sallyport doctor` looks at what it needs.")  \
	X(1102, NOT_FORWARDING, DIAG_ERROR, "the data plane has no configuration",                 \
		"It has started and waits for its first configuration. If one was refused, the "   \
		"log of sallyportd says which object; correct it and `sallyport apply`.")          \
	X(1103, PORT_FAILED, DIAG_ERROR, "a port could not be started",                            \
		"The device of the port is absent, is in use by something else, or its driver "    \
		"refused it. Other ports go on; this one is tried again.")                         \
	X(1104, PORT_DOWN, DIAG_WARNING, "a port has no link",                                     \
		"The other end is off, the cable is out, or the device is not up.")                \
	X(1105, EGRESS_REFUSED, DIAG_WARNING, "flows were refused for want of a port",             \
		"All ports of an egress address were in use, so new flows were refused rather "    \
		"than sent from another address. Give the pool another address.")                  \
	X(1106, EGRESS_FULL, DIAG_WARNING, "an egress address is nearly used up",                  \
		"Eight in ten of its port blocks are taken. When all are, flows are refused: "     \
		"give the pool another address in time.")                                          \
	X(1107, TRAFFIC_NOT_KEPT, DIAG_WARNING, "traffic over time is not kept",                   \
		"The file traffic.db in the state directory cannot be opened or written: no room " \
		"on the disk, no permission, or it is damaged; the log of sallyportd says which. " \
		"Forwarding does not depend on it. What comes meanwhile is counted once it can "   \
		"be "                                                                              \
		"written again. A damaged file may be moved away: then `systemctl restart "        \
		"sallyportd`, and figures begin anew.")                                            \
	X(1108, ROUTER_DOWN, DIAG_WARNING, "a routing peer does not answer",                       \
		"Nothing was heard from it for failover.dead_after_s seconds, though it was "      \
		"asked. Another peer of its network has taken over, if one is up; it is used "     \
		"again when it has been heard for failover.return_after_s seconds.")               \
	X(1109, NO_ANSWERS, DIAG_WARNING, "a route has had no answer",                             \
		"Packets went out by a route without masquerading and none came back. Most "       \
		"often the network behind it has no route back: `sallyport routes` says which "    \
		"it needs, and by which address. `sallyport flows` shows who waits.")              \
	X(1110, SELECTION_WITHDRAWN, DIAG_WARNING, "a selected exit node is not offered any more", \
		"Peers chose it by `exit-nodes select`, and since then its groups, a policy or "   \
		"`enabled` have changed. Rather than by another address, nothing of theirs "       \
		"leaves. Offer it again, or take the selection back: `sallyport exit-nodes "       \
		"deselect --as PEER`; `sallyport exit-nodes --as PEER` says what is missing.")     \
	X(1111, ROUTERS_SKIPPED, DIAG_WARNING, "routing peers are skipped",                        \
		"Peers that a route names, by themselves or by a group, cannot forward "           \
		"(`can_route: false`), so it goes through the others. `sallyport routes -j` "      \
		"lists them as `skipped`.")                                                        \
	X(1120, FILES_BEHIND, DIAG_ERROR, "the files are not what is in force",                    \
		"The files of the configuration had errors at the start, and the version that "    \
		"was "                                                                             \
		"in force before runs instead; or a change is in force that could not be written " \
		"to them. `sallyport check FILE` shows errors, `sallyport plan` the difference, "  \
		"and `sallyport apply` brings the files into force once they are right.")          \
	X(1121, ON_TRIAL, DIAG_WARNING, "a change is on trial",                                    \
		"It was applied with --confirm. `sallyport confirm` keeps it; otherwise the "      \
		"version before comes back by itself at the time that is shown.")
