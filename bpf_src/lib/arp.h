/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The endpoint asks for its gateway's MAC, whichever address it takes for its gateway, and gets
 * the interface's.
 */
#pragma once

#include "config.h"
#include "eth.h"
#include "drop_reasons.h"

enum {
	ARPHRD_ETHER = 1,
	ARPOP_REQUEST = 1,
	ARPOP_REPLY = 2,
};

struct arp_eth_ipv4 {
	__be16 ar_hrd;
	__be16 ar_pro;
	__u8 ar_hln;
	__u8 ar_pln;
	__be16 ar_op;
	__u8 ar_sha[ETH_ALEN];
	__u8 ar_sip[4];
	__u8 ar_tha[ETH_ALEN];
	__u8 ar_tip[4];
} __packed;

/*
 * Turn the request around, or pass it to the stack: what is no request to us, and who asks for the
 * endpoint itself.
 */
static __always_inline int arp_respond(struct __sk_buff *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct arp_eth_ipv4 *arp = (void *)(eth + 1);
	union macaddr mac = interface_mac_value();
	__u32 asker, asked;

	if ((void *)(arp + 1) > (void *)(long)ctx->data_end)
		return TC_ACT_OK;
	if (arp->ar_op != bpf_htons(ARPOP_REQUEST) || arp->ar_hrd != bpf_htons(ARPHRD_ETHER))
		return TC_ACT_OK;
	if (!mac_is_broadcast(eth->h_dest) && !mac_equal(eth->h_dest, mac.addr))
		return TC_ACT_OK;

	__builtin_memcpy(&asker, arp->ar_sip, sizeof(asker));
	__builtin_memcpy(&asked, arp->ar_tip, sizeof(asked));
	if (asked == endpoint_ipv4.be32)
		return TC_ACT_OK;

	mac_copy(eth->h_dest, eth->h_source);
	mac_copy(eth->h_source, mac.addr);
	arp->ar_op = bpf_htons(ARPOP_REPLY);
	mac_copy(arp->ar_tha, eth->h_dest);
	mac_copy(arp->ar_sha, mac.addr);
	__builtin_memcpy(arp->ar_sip, &asked, sizeof(asked));
	__builtin_memcpy(arp->ar_tip, &asker, sizeof(asker));
	return ctx_redirect(ctx, ctx->ifindex, 0);
}
