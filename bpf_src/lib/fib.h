/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Routing by the program: ask the kernel's tables, then send the packet out of the device they
 * name.
 */
#pragma once

#include "l3.h"

#define AF_INET	 2
#define AF_INET6 10

static __always_inline int fib_fill(struct __sk_buff *ctx, bool ipv6, struct bpf_fib_lookup *fib)
{
	fib->ifindex = ctx->ifindex;
	if (ipv6) {
		struct ipv6hdr *ip6 = ipv6_header(ctx);

		if (!ip6)
			return DROP_INVALID;
		fib->family = AF_INET6;
		*(union v6addr *)fib->ipv6_src = *ipv6_addr(&ip6->saddr);
		*(union v6addr *)fib->ipv6_dst = *ipv6_addr(&ip6->daddr);
	} else {
		struct iphdr *ip4 = ipv4_header(ctx);

		if (!ip4)
			return DROP_INVALID;
		fib->family = AF_INET;
		fib->ipv4_src = ip4->saddr;
		fib->ipv4_dst = ip4->daddr;
	}
	return 0;
}

/*
 * Returns the verdict of the redirect and its device in *oif, or a drop reason with the kernel's
 * own in *ext_err.
 */
static __always_inline int fib_redirect(struct __sk_buff *ctx, bool ipv6, __u32 *oif, __s8 *ext_err)
{
	/* tot_len stays 0: with it the kernel refuses segments that are yet to be cut. */
	struct bpf_fib_lookup fib = {};
	struct bpf_redir_neigh next_hop = {};
	union macaddr smac = {}, dmac = {};
	long found;
	int ret;

	ret = fib_fill(ctx, ipv6, &fib);
	if (IS_ERR(ret))
		return ret;
	found = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	if (found != BPF_FIB_LKUP_RET_SUCCESS && found != BPF_FIB_LKUP_RET_NO_NEIGH) {
		*ext_err = (__s8)found;
		return DROP_NO_FIB;
	}
	*oif = fib.ifindex;

	if (found == BPF_FIB_LKUP_RET_SUCCESS) {
		__builtin_memcpy(smac.addr, fib.smac, sizeof(smac.addr));
		__builtin_memcpy(dmac.addr, fib.dmac, sizeof(dmac.addr));
		ret = l3(ctx, ipv6, smac.addr, dmac.addr, ext_err);
		return ret ? ret : ctx_redirect(ctx, *oif, 0);
	}

	/* The kernel finds the neighbour's MAC on the way out. */
	ret = l3(ctx, ipv6, NULL, NULL, ext_err);
	if (ret)
		return ret;
	next_hop.nh_family = fib.family;
	__builtin_memcpy(next_hop.ipv6_nh, fib.ipv6_dst, sizeof(next_hop.ipv6_nh));
	return ctx_redirect_neigh(ctx, *oif, &next_hop);
}
