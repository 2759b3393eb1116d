/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Ethernet: the type of a frame, and its addresses. */
#pragma once

#include <linux/if_ether.h>

#include "config.h"
#include "ctx.h"
#include "drop_reasons.h"

/* The type field of the frame, in network order; false if there is none. */
static __always_inline bool validate_ethertype(struct __sk_buff *ctx, __be16 *proto)
{
	struct ethhdr *eth = (void *)(long)ctx->data;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return false;
	*proto = eth->h_proto;
	return *proto != 0;
}

static __always_inline bool mac_equal(const __u8 *a, const __u8 *b)
{
	return *(const __u32 *)a == *(const __u32 *)b &&
	       *(const __u16 *)(a + 4) == *(const __u16 *)(b + 4);
}

static __always_inline bool mac_is_broadcast(const __u8 *mac)
{
	return *(const __u32 *)mac == 0xffffffff && *(const __u16 *)(mac + 4) == 0xffff;
}

static __always_inline void mac_copy(__u8 *to, const __u8 *from)
{
	*(__u32 *)to = *(const __u32 *)from;
	*(__u16 *)(to + 4) = *(const __u16 *)(from + 4);
}

/* The MAC of the interface on which the program sits, for the pod the MAC of its router. */
static __always_inline union macaddr interface_mac_value(void)
{
	union macaddr mac;

	mac.pad = interface_mac.pad;
	return mac;
}

/* Send the frame to its sender, from the interface it came to. The verdict, or a drop reason. */
static __always_inline int eth_send_back(struct __sk_buff *ctx)
{
	union macaddr mac = interface_mac_value();
	struct ethhdr *eth = (void *)(long)ctx->data;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return DROP_INVALID;
	mac_copy(eth->h_dest, eth->h_source);
	mac_copy(eth->h_source, mac.addr);
	return ctx_redirect(ctx, ctx->ifindex, 0);
}
