/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/cli/cli.h"

#include <stddef.h>
#include <string.h>

const struct cli_command cli_commands[] = {
	{"status", "", 0, 0, CLI_DETAILS | CLI_CHECK | CLI_PAGED | CLI_WATCH | CLI_UNITS,
		"the gateway on one screen",
		"What is wrong comes first, each with what to type next; then data plane, ports "
		"and "
		"peers. Exits with 4 if something is wrong. With --check nothing is printed: "
		"`live` is "
		"0 if the daemon answers, `startup` if it has ever brought a configuration into "
		"the "
		"data plane, `ready` if the gateway forwards; else 4, or 5 without a daemon.",
		cli_run_status, NULL},
	{"peers", "", 0, 0, CLI_PAGED | CLI_WATCH | CLI_UNITS,
		"peers, their endpoints, handshakes and traffic",
		"A peer is live if its last handshake is at most three minutes old.", cli_run_peers,
		"peers"},
	{"routes", "", 0, 0, CLI_PAGED | CLI_WATCH | CLI_UNITS,
		"network routes and who receives them",
		"Routes without ACL groups that are open to all who receive them are marked.",
		cli_run_routes, "routes"},
	{"exit-nodes", "", 0, 0, CLI_AS | CLI_PAGED | CLI_WATCH | CLI_UNITS,
		"exit nodes and who uses them",
		"Peers: how many leave by it; selected: how many chose it among several. With --as "
		"what each is for one peer: in use, offered, or what keeps the peer from it.",
		cli_run_exit_nodes, "exit_nodes"},
	{"exit-nodes select", "EXIT-NODE", 1, 1, CLI_AS, "a peer leaves by this exit node",
		"Of those that are offered to the peer that --as names; without a selection it is "
		"the first of the configuration. Kept over restarts, until the peer or the exit "
		"node is gone from the configuration; if only the offer ends, nothing of the "
		"peer's leaves "
		"by another exit node instead. Running flows keep their address. Exits with 1 if "
		"it "
		"is not offered, 3 if it was selected already.",
		cli_run_select, NULL},
	{"exit-nodes deselect", "", 0, 0, CLI_AS, "a peer leaves by what is offered first",
		"Takes back what `exit-nodes select` said. Exits with 3 if nothing was selected.",
		cli_run_deselect, NULL},
	{"egress", "", 0, 0, CLI_PAGED | CLI_WATCH | CLI_UNITS, "egress pools, addresses and rules",
		"The list of addresses is what partners put into their allow lists.",
		cli_run_egress, "pools"},
	{"forwards", "", 0, 0, CLI_PAGED | CLI_WATCH | CLI_UNITS,
		"port forwards and what went through them",
		"Which ports of which outside address lead where inside, and for whom. A forward "
		"lets in only what a policy allows as well.",
		cli_run_forwards, "forwards"},
	{"egress list", "", 0, 0, 0, "egress addresses, one per line",
		"For the allow lists of partners: the addresses that traffic leaves by, and no "
		"others.",
		cli_run_egress_list, "addresses"},
	{"egress who", "ADDRESS:PORT [TIME]", 1, 2, CLI_PROTO,
		"who had this port of an egress address",
		"Now, or at TIME: \"2026-11-20 14:03\" with or without seconds, in this machine's "
		"zone, with a Z in UTC, or @ and a Unix time. Ports are handed out in blocks of "
		"64, "
		"and each block's user is kept for egress.keep_days (90). Where several shared a "
		"block "
		"all are named. Exits with 3 if nobody had it.",
		cli_run_egress_who, "users"},
	{"flows", "", 0, 0, CLI_MAX | CLI_PEER | CLI_PAGED | CLI_WATCH | CLI_UNITS,
		"flows in the data plane now",
		"A snapshot of at most --max flows, of one peer with --peer. Where prefixes are "
		"mapped: seen address=real address.",
		cli_run_flows, "flows"},
	{"drops", "", 0, 0, CLI_ALL | CLI_PAGED | CLI_WATCH, "dropped packets by reason",
		"Only reasons that have counted something, unless --all is given.", cli_run_drops,
		"drops"},
	{"counters", "[TEXT]", 0, 1, CLI_ALL | CLI_PAGED | CLI_WATCH,
		"all counters, by their names in /metrics",
		"Those that have counted something (all with --all) and whose name or labels "
		"have TEXT in them. A gauge is what it is now, a counter what was since the data "
		"plane began.",
		cli_run_counters, "counters"},
	{"policy", "", 0, 0, CLI_PAGED | CLI_WATCH | CLI_UNITS,
		"policies in their order, with what they matched",
		"The first policy that matches decides; nothing matches = denied.", cli_run_policy,
		"policies"},
	{"why", "SRC DST[:PORT]", 2, 2, CLI_PROTO | CLI_AS | CLI_WATCH,
		"what becomes of a flow, and by which rule",
		"Sends nothing: says from what the data plane was given who the sender is, which "
		"route "
		"and policy decide, with which address it leaves and by which next hop. SRC and "
		"DST are addresses or names of peers. Exits with 1 if the flow is denied.",
		cli_run_why, NULL},
	{"doctor", "", 0, 0, CLI_AS | CLI_CONFIG | CLI_PAGED,
		"what stands in the way, with the fix to type",
		"Looks at the machine (hugepages, network cards, cores, firewalls ...), which "
		"needs no "
		"daemon, and at the gateway; with --as at one peer's whole way to the internet: "
		"permission, policy, handshake, routes of the client, packets arriving, next hops, "
		"NAT. Changes nothing. Exits with 1 if a step fails.",
		cli_run_doctor, NULL},
	{"ports", "", 0, 0, CLI_CONFIG | CLI_NFT | CLI_PAGED,
		"what firewalls around it must let through",
		"Inbound and outbound, IPv4 and IPv6, as the configuration has it: as a table, as "
		"JSON "
		"with -j, or as nft rules for a firewall in front of the gateway with --nft.",
		cli_run_ports, NULL},
	{"bind", "[PCI-ADDRESS]", 0, 1, CLI_BIND | CLI_CONFIRM,
		"give a network card to DPDK, or back",
		"Moves the card from its driver to another one, by sysfs, and needs no daemon. "
		"With --confirm it is moved back by itself unless `sallyport bind confirm` comes "
		"in time, also if the login is gone by then, and its interfaces get back the "
		"addresses and routes they had. A card with the default route or an SSH "
		"session is left alone unless --force is given. Back to the kernel: --driver with "
		"the driver's name. Nothing is kept over a restart of the machine. Exits with 3 if "
		"the driver "
		"has the card already.",
		cli_run_bind, "cards"},
	{"bind confirm", "[PCI-ADDRESS]", 0, 1, 0, "keep a card where it was moved to",
		"Ends the trial of `bind --confirm`, of all cards or of one. Exits with 3 if "
		"nothing "
		"is on trial.",
		cli_run_bind_confirm, NULL},
	{"capture", "[FILTER ...]", 0, 64,
		CLI_PORT | CLI_PEER | CLI_DROPS | CLI_WRITE | CLI_COUNT | CLI_SNAP,
		"copies of packets, as a pcapng file",
		"Of all ports or one (--port), of a peer's tunnel, decrypted (--peer), or of what "
		"is dropped, with the reason as comment (--drops). FILTER is in the syntax of "
		"pcap-filter(7). Goes to standard output, as for `tshark -r -`, or to --write "
		"FILE, "
		"until Ctrl-C or --count packets. Packets are never held up: those that find no "
		"room are counted in the file.",
		cli_run_capture, NULL},
	{"trace", "", 0, 0, CLI_PEER | CLI_COUNT, "the way of packets through the data plane",
		"Follows --count packets (1), of one peer with --peer, and prints the nodes that "
		"each went through, with cycles per packet, and what became of it: sent, dropped "
		"and why, "
		"given to the host, or waiting. Waits for packets until Ctrl-C. With -j one JSON "
		"object per line.",
		cli_run_trace, NULL},
	{"top", "", 0, 0, CLI_BATCH | CLI_COUNT | CLI_UNITS,
		"what is busy now, refreshed each second",
		"Overview, cores (how busy, and cycles a packet at each stage), peers, egress "
		"addresses, drops by reason, and flows, each on a page of its own. All but the "
		"first 500 flows, which are asked for while they are shown, comes from counters. "
		"Keys: 1 to 6, Tab and arrows for pages and lines, s to sort by the next column, r "
		"to reverse, / to filter by a text, p to freeze, w to write all pages into a file "
		"here, q to quit. --batch prints all pages as text instead, --count times.",
		cli_run_top, NULL},
	{"traffic", "", 0, 0,
		CLI_PEER | CLI_EXIT_NODE | CLI_EGRESS | CLI_RANGE | CLI_CSV | CLI_PAGED |
			CLI_WATCH | CLI_UNITS,
		"how much went through, over time",
		"Of one peer, exit node or egress address, by the minute (--range hour), hour "
		"(day), "
		"day (30d) or month; or, with none named, the sums of all of them and of each "
		"group's peers, with --range month those of this month. Times are UTC. Kept over "
		"restarts. As CSV with --csv.",
		cli_run_traffic, NULL},
	{"debug bundle", "[FILE]", 0, 1, CLI_SYSTEM_INFO | CLI_ANONYMIZE,
		"all that is needed to help from afar, in one tar.gz",
		"Configuration, state, counters, drops, history, the doctor's findings and the "
		"log, with a README; with --system-info kernel, processor, memory, network cards, "
		"hugepages and modules, too. Never keys or packets. With --anonymize public "
		"addresses and the names of peers and hosts are replaced, each by the same word "
		"everywhere; with --anonymize strict all addresses and names. FILE must not "
		"exist; without it one is made here.",
		cli_run_bundle, NULL},
	{"check", "FILE", 1, 1, CLI_STATE_DIR, "look for errors in a configuration",
		"Needs no daemon and changes nothing. Shows every error in one pass; exits with 2 "
		"if there is one. Key files are looked at if --state-dir is given.",
		cli_run_check, NULL},
	{"plan", "[VERSION]", 0, 1, CLI_PAGED,
		"what an apply would change, and whom it would touch",
		"Changes nothing. Shows which objects differ from what is in force, which peers "
		"leave by another egress address, get other routes or lose their tunnel, and which "
		"running flows would be cut. With VERSION: of a rollback to it. Exits with 0 if "
		"nothing differs, 3 if something does, 2 if the files have errors.",
		cli_run_plan, NULL},
	{"apply", "", 0, 0, CLI_CONFIRM | CLI_MESSAGE | CLI_RISK,
		"bring the daemon's files into force",
		"All of it or, if there is any error or a test fails, nothing. Running tunnels and "
		"flows stay. With --confirm the version before comes back by itself unless "
		"`sallyport confirm` is typed in time, also if the daemon was down meanwhile. "
		"A change that cuts running flows or ends live tunnels says how many, and is asked "
		"about on a terminal; elsewhere it is refused (1) unless "
		"--accept-risk=drop-sessions or --confirm is given. Exits with 3 if nothing has "
		"changed.",
		cli_run_apply, NULL},
	{"confirm", "", 0, 0, 0, "keep what is on trial",
		"Ends the trial of `apply --confirm`. Exits with 2 if nothing is on trial.",
		cli_run_confirm, NULL},
	{"rollback", "[VERSION]", 0, 1, CLI_CONFIRM | CLI_MESSAGE | CLI_RISK,
		"bring a version of the history into force",
		"The one before if none is named; during a trial, what would come back. The files "
		"are written too: an edit in them that was never in force is kept as FILE.old. "
		"Asks "
		"as `apply` does, but not to end a trial.",
		cli_run_rollback, NULL},
	{"history", "", 0, 0, CLI_PAGED | CLI_WATCH, "the versions that were in force",
		"Who brought them into force, when and by what. At most 100 are kept.",
		cli_run_history, "versions"},
	{"config diff", "FROM TO", 2, 2, CLI_PAGED, "what two versions say differently",
		"FROM and TO are versions of the history, or `disk` for the files as they are. "
		"Layout and comments do not count. Exits with 3 if there are differences.",
		cli_run_config_diff, NULL},
	{"config show", "[VERSION]", 0, 1, CLI_ORIGIN | CLI_PAGED, "the files of a version",
		"Without VERSION, or with `disk`, the files as they are on disk. With --origin one "
		"line for each value instead: its key, what it is, and the file and line that say "
		"so, or `default`. A key in place of a reference to one is shown as stars.",
		cli_run_config_show, "values"},
	{"explain", "CODE", 1, 1, 0, "what an error code means",
		"CODE as findings show it, such as SP0201, or a reason as drops show it, such as "
		"flow.policy; `explain all` lists every code.",
		cli_run_explain, "codes"},
	{"peer export", "PEER", 1, 1, CLI_FULL | CLI_ENDPOINT | CLI_PRIVATE_KEY_FILE | CLI_QR,
		"the wg-quick file of a peer",
		"With an exit node it takes the halves 0.0.0.0/1, 128.0.0.0/1, ::/1 and 8000::/1, "
		"which leave the default route in place, or /0 with --full. The private key comes "
		"from --private-key-file, or is left to be filled in. With --qr it is drawn for a "
		"telephone's camera, without the lines that only wg-quick on Linux reads.",
		cli_run_export, NULL},
	{"import wg-quick", "FILE", 1, 1, CLI_STATE_DIR,
		"a server's wg-quick file as a configuration",
		"Prints YAML with its interface, its peers, routes to what is behind them, and a "
		"policy that allows what the file allowed; PostUp and other lines that are not "
		"taken "
		"over are listed in it. Private and preshared keys are written into --state-dir, "
		"and "
		"never printed. FILE may be -.",
		cli_run_import, NULL},
	{"peer add", "NAME", 1, 1,
		CLI_GROUPS | CLI_ADDRESS | CLI_PUBLIC_KEY | CLI_FULL | CLI_ENDPOINT | CLI_QR |
			CLI_MESSAGE,
		"add a peer, and print its wg-quick file",
		"Writes peers.d/NAME.yaml beside the configuration and brings it into force; if it "
		"is refused, nothing is left behind. A key pair is made here, and the private key "
		"is shown once, in the file that is printed: it is stored nowhere. Or the peer has "
		"a key: --public-key. Addresses are the next free ones unless --address names "
		"them.",
		cli_run_peer_add, NULL},
	{"peer remove", "PEER", 1, 1, CLI_MESSAGE | CLI_RISK,
		"remove a peer that has a file in peers.d",
		"Its tunnel and its flows end: asks as `apply` does if it has any now. Refused "
		"while "
		"something in the configuration names it.",
		cli_run_peer_remove, NULL},
	{"dataplane-args", "FILE", 1, 1, 0, "options for sallyport-dataplane",
		"What the section `dataplane` of a configuration means as a command line, and what "
		"its ports and its overlay need there. A change needs a restart of the data plane.",
		cli_run_dataplane_args, NULL},
	{"schema", "", 0, 0, 0, "the JSON Schema of the configuration",
		"For editors; config/sallyport.schema.json is its output.", cli_run_schema, NULL},
	{"version", "", 0, 0, 0, "print the version", "", cli_run_version, NULL},
	{"completion", "bash|zsh|fish", 1, 1, 0, "print a completion script for a shell",
		"The script asks this program, and so the running daemon, for the names of peers, "
		"exit nodes, routes, pools, policies and ports, and sysfs for network cards. For "
		"bash: "
		"`sallyport completion bash >/etc/bash_completion.d/sallyport`.",
		cli_run_completion, NULL},
	{"complete", "[WORD ...]", 0, 64, 0, "what could follow these words",
		"For the scripts of `completion`: the last word is the one being typed. One "
		"candidate "
		"per line, with a tab before its explanation; `:files` for the name of a file.",
		cli_run_complete, NULL},
	{"help", "[COMMAND]", 0, 2, 0, "print help", "", cli_run_help, NULL},
	{"man", "[codes]", 0, 1, 0, "print the source of a manual page",
		"For scdoc(1): of sallyport(1) or, with `codes`, of sallyport-codes(7).",
		cli_run_man, NULL},
	{NULL, NULL, 0, 0, 0, NULL, NULL, NULL, NULL},
};

#define FIELD(name) offsetof(struct cli, name)

const struct cli_option_row cli_options[] = {
	{0, 'j', "json", NULL, "JSON instead of text", FIELD(json)},
	{0, 0, "jsonl", NULL, "JSON, one line for each row", FIELD(lines)},
	{0, 'o', "output", "text|json|jsonl|yaml", "the form of what is printed", FIELD(output)},
	{CLI_WATCH, 0, "watch", "[SECONDS]", "again and again, until Ctrl-C (1; 0.2 to 3600)",
		FIELD(interval)},
	{CLI_UNITS, 0, "si", NULL, "amounts in kB, MB ... of 1000 (usual)", FIELD(si)},
	{CLI_UNITS, 0, "iec", NULL, "amounts in KiB, MiB ... of 1024", FIELD(iec)},
	{CLI_UNITS, 0, "exact", NULL, "amounts to the byte", FIELD(exact)},
	{CLI_PAGED, 0, "no-pager", NULL, "no pager, on a terminal either", 0},
	{0, 0, "socket", "FILE", "of sallyportd (/run/sallyport/sallyport.sock)", FIELD(socket)},
	{0, 'h', "help", NULL, "help on the command", FIELD(help)},
	{CLI_FULL, 0, "full", NULL, "routes for 0.0.0.0/0 and ::/0 instead of halves", 0},
	{CLI_ENDPOINT, 0, "endpoint", "HOST:PORT", "where the peer finds the gateway",
		FIELD(endpoint)},
	{CLI_PRIVATE_KEY_FILE, 0, "private-key-file", "FILE", "the peer's private key",
		FIELD(private_key_file)},
	{CLI_STATE_DIR, 0, "state-dir", "DIR", "where key files are (check), or are put (import)",
		FIELD(state_dir)},
	{CLI_MAX, 0, "max", "N", "at most so many (1000)", FIELD(max)},
	{CLI_PEER, 0, "peer", "PEER", "only of this peer", FIELD(peer)},
	{CLI_PROTO, 0, "proto", "tcp|udp|icmp", "tcp with a port, else icmp", FIELD(proto)},
	{CLI_AS, 0, "as", "PEER", "as if it came from this peer's tunnel", FIELD(as)},
	{CLI_ALL, 0, "all", NULL, "also what has counted nothing", 0},
	{CLI_DETAILS, 'd', "details", NULL, "peers, endpoints and workers too", 0},
	{CLI_CHECK, 0, "check", "live|ready|startup", "print nothing: the exit status says it",
		FIELD(check)},
	{CLI_PORT, 0, "port", "PORT", "only of this port", FIELD(port)},
	{CLI_DROPS, 0, "drops", NULL, "only packets that are dropped", 0},
	{CLI_WRITE, 'w', "write", "FILE", "write there; - is standard output", FIELD(write)},
	{CLI_COUNT, 'n', "count", "N", "end after so many", FIELD(count)},
	{CLI_SNAP, 0, "snap", "BYTES", "keep at most so much of a packet", FIELD(snap)},
	{CLI_BATCH, 'b', "batch", NULL, "text, once per second, instead of a screen", 0},
	{CLI_EXIT_NODE, 0, "exit-node", "EXIT-NODE", "only of this exit node", FIELD(exit_node)},
	{CLI_EGRESS, 0, "egress", "ADDRESS", "only of this egress address", FIELD(egress)},
	{CLI_RANGE, 0, "range", "hour|day|30d|month", "how far back (hour)", FIELD(range)},
	{CLI_ORIGIN, 0, "origin", NULL, "where each value comes from", 0},
	{CLI_CSV, 0, "csv", NULL, "comma-separated values, times in UTC", 0},
	{CLI_SYSTEM_INFO, 0, "system-info", NULL, "the machine, too", 0},
	{CLI_ANONYMIZE, 0, "anonymize", "default|strict", "replace addresses and names",
		FIELD(anonymize)},
	{CLI_CONFIG, 0, "config", "FILE", "the configuration (the daemon's, or the usual one)",
		FIELD(config)},
	{CLI_QR, 0, "qr", NULL, "as a QR code, for WireGuard on a telephone", 0},
	{CLI_NFT, 0, "nft", NULL, "rules for nft -f, for a firewall in front", 0},
	{CLI_CONFIRM, 0, "confirm", "TIME", "back by itself unless confirmed: 90s, 5m, 1h",
		FIELD(confirm)},
	{CLI_BIND, 0, "driver", "vfio-pci|uio_pci_generic|igb_uio",
		"who is to have it (vfio-pci), or the kernel's driver", FIELD(driver)},
	{CLI_BIND, 0, "force", NULL, "also the card that this machine is reached by", FIELD(force)},
	{CLI_BIND, 0, "list", NULL, "the network cards, and whose they are", FIELD(list)},
	{CLI_RISK, 0, "accept-risk", "drop-sessions", "running flows and tunnels may be cut",
		FIELD(accept_risk)},
	{CLI_MESSAGE, 0, "message", "TEXT", "for the history: why", FIELD(message)},
	{CLI_GROUPS, 0, "groups", "GROUP,...", "of the new peer", FIELD(groups)},
	{CLI_ADDRESS, 0, "address", "ADDRESS,...", "of the new peer in the overlay",
		FIELD(address)},
	{CLI_PUBLIC_KEY, 0, "public-key", "KEY", "of a peer that has a key pair already",
		FIELD(public_key)},
	{0, 0, NULL, NULL, NULL, 0},
};

#undef FIELD

const struct cli_command *cli_find_command(char *const *args, int n, int *words)
{
	const struct cli_command *found = NULL;

	for (const struct cli_command *c = cli_commands; c->words != NULL; c++) {
		const char *space = strchr(c->words, ' ');
		size_t first = space == NULL ? strlen(c->words) : (size_t)(space - c->words);

		if (n < (space == NULL ? 1 : 2) || strlen(args[0]) != first ||
			strncmp(args[0], c->words, first) != 0)
			continue;
		if (space != NULL && strcmp(args[1], space + 1) == 0) {
			*words = 2; /* "egress who" before "egress" */
			return c;
		}
		if (space == NULL) {
			*words = 1;
			found = c;
		}
	}
	return found;
}
