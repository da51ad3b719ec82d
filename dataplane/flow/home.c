/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which worker owns a flow. Both directions must give the same answer on every worker:
 *
 *	to an egress address       the owner of the port block
 *	one or two owned addresses the home of the lowest owner
 *	none                       a hash of both ends
 *
 * The owner by allowed-IPs counts, not the sending peer: of two routing peers either may answer.
 */
#include <netinet/in.h>

#include "common/api/flow.h"
#include "dataplane/flow/flow_priv.h"
#include "dataplane/nat/nat.h"
#include "dataplane/route/route.h"
#include "dataplane/wireguard/peer.h"

static unsigned hash_ends(const struct flow_worker *w, const struct flow_key *key)
{
	uint8_t a[24] = {0}, b[24] = {0};
	uint64_t hash;

	memcpy(a, key->src, 16);
	memcpy(a + 16, &key->sport, 2);
	a[18] = key->proto;
	memcpy(b, key->dst, 16);
	memcpy(b + 16, &key->dport, 2);
	b[18] = key->proto;
	hash = hash_24(&w->table.key, a) + hash_24(&w->table.key, b);
	return (unsigned)((hash >> 32) * w->workers >> 32);
}

/* The owner of this end's port block, if the end is the outside of the NAT; else -1. */
static int find_block_owner(
	const struct flow_worker *w, const struct addr *addr, uint8_t proto, uint16_t port)
{
	const struct nat_address *address = nat_address_find(w->copy, addr);

	if (address == NULL || !nat_port_in_share(address, port))
		return -1;
	return nat_port_owner(address, proto, port);
}

/*
 * To the outside of the NAT: by the block of the port, or, where it is forwarded, by the inside;
 * dst becomes that. A peer's packets to an outside address are his flow's, like those to any other
 * destination; from plain networks come answers.
 */
static int find_outside_owner(
	const struct flow_worker *w, const struct flow_key *key, struct addr *dst, uint16_t *dport)
{
	const struct nat_forward *forward;
	struct addr src;

	if (flow_is_peer(key->ident))
		return -1;
	forward = nat_forward_find(w->copy, dst, key->proto, key->dport);
	if (forward == NULL)
		return find_block_owner(w, dst, key->proto, key->dport);
	*dst = forward->inside;
	*dport = nat_forward_port(forward, key->dport);
	/* the answers of a plain host to a hairpinned packet show the outside of the sender only */
	if ((key->ident & API_IDENT_HAIRPIN) == 0 || allowed_owner(w->copy, dst) != 0)
		return -1;
	flow_key_src(key, &src);
	return find_block_owner(w, &src, key->proto, key->sport);
}

unsigned flow_home(const struct flow_worker *w, const struct flow_key *key, bool asks)
{
	struct flow_key inside = *key;
	struct addr src, dst;
	struct peer_view view;
	uint32_t peer, other;
	int owner = -1;

	if (w->workers == 1)
		return 0;
	flow_key_src(key, &src);
	flow_key_dst(key, &dst);
	if (!asks)
		owner = find_outside_owner(w, key, &dst, &inside.dport);
	if (owner >= 0)
		return (unsigned)owner;
	peer = allowed_owner(w->copy, &src);
	other = allowed_owner(w->copy, &dst);
	if (peer == 0 || (other != 0 && other < peer))
		peer = other;
	if (peer != 0 && peer_look(w->copy, peer, &view) && view.home < w->workers)
		return view.home;
	memcpy(inside.dst, dst.bytes, sizeof(inside.dst));
	return hash_ends(w, &inside);
}

/*
 * From behind a routing peer, to an address of ours: an answer to what was masqueraded on its way
 * there looks like what is to be hairpinned. Only the mapping tells, which its owner alone can
 * read: that worker, or -1 if the packet can be no answer.
 */
static int find_asker(const struct flow_worker *w, const struct flow_key *key)
{
	struct addr src, dst;
	int owner;

	if (!flow_is_peer(key->ident))
		return -1;
	flow_key_dst(key, &dst);
	owner = find_block_owner(w, &dst, key->proto, key->dport);
	if (owner < 0 || nat_forward_find(w->copy, &dst, key->proto, key->dport) != NULL)
		return -1;
	flow_key_src(key, &src);
	return route_is_masked(w->copy, &src) ? owner : -1;
}

static bool hand(const struct flow_worker *w, struct rte_mbuf *mbuf, int to, uint16_t flag)
{
	struct packet *packet = packet_of(mbuf);

	if (to < 0 || to == (int)w->id)
		return false;
	packet->to = (uint8_t)to;
	packet->next = GRAPH_FORWARD;
	packet->flags |= flag;
	return true;
}

bool flow_hand_to_asker(
	const struct flow_worker *w, struct rte_mbuf *mbuf, const struct flow_key *key)
{
	if ((packet_of(mbuf)->flags & (PACKET_AT_HOME | PACKET_NO_ANSWER)) != 0)
		return false;
	return hand(w, mbuf, find_asker(w, key), PACKET_NO_ANSWER);
}

bool flow_hand_on(
	const struct flow_worker *w, struct rte_mbuf *mbuf, const struct flow_key *key, bool asks)
{
	if (w->workers == 1 || (packet_of(mbuf)->flags & PACKET_AT_HOME) != 0)
		return false;
	if (!asks && flow_hand_to_asker(w, mbuf, key))
		return true;
	return hand(w, mbuf, (int)flow_home(w, key, asks), PACKET_AT_HOME);
}
