/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What both IP versions have. An IPv4 address stands in the first word of a v6addr. */
#pragma once

#include "config.h"
#include "ipv4.h"
#include "ipv6.h"

enum ip_side {
	IP_SOURCE,
	IP_DESTINATION,
};

/*
 * Programs ask this first of the family that they are for: no packet comes to those of one that is
 * off, and the verifier has nothing to do with them.
 */
static __always_inline bool ip_enabled(bool ipv6)
{
	return ipv6 ? enable_ipv6 : enable_ipv4;
}

/* The packet's address of that side; DROP_INVALID if the packet has no such header. */
static __always_inline int ip_address(struct __sk_buff *ctx, bool ipv6, enum ip_side side,
				      union v6addr *addr)
{
	if (ipv6) {
		struct ipv6hdr *ip6 = ipv6_header(ctx);

		if (!ip6)
			return DROP_INVALID;
		*addr = *ipv6_addr(side == IP_SOURCE ? &ip6->saddr : &ip6->daddr);
	} else {
		struct iphdr *ip4 = ipv4_header(ctx);

		if (!ip4)
			return DROP_INVALID;
		*addr = (union v6addr){ .p1 = side == IP_SOURCE ? ip4->saddr : ip4->daddr };
	}
	return 0;
}
