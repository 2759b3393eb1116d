/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* One hop: the packet's life is shortened and its frame gets new addresses. */
#pragma once

#include "icmp6.h"
#include "ipv4.h"
#include "ipv6.h"

static __always_inline void l3_set_macs(struct __sk_buff *ctx, const __u8 *smac, const __u8 *dmac)
{
	struct ethhdr *eth = (void *)(long)ctx->data;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return;
	if (smac)
		mac_copy(eth->h_source, smac);
	if (dmac)
		mac_copy(eth->h_dest, dmac);
}

static __always_inline int ipv4_l3(struct __sk_buff *ctx, const __u8 *smac, const __u8 *dmac)
{
	struct iphdr *ip4 = ipv4_header(ctx);

	if (!ip4)
		return DROP_INVALID;
	if (ip4->ttl <= 1)
		return DROP_TTL_EXCEEDED;
	ipv4_dec_ttl(ip4);
	l3_set_macs(ctx, smac, dmac);
	return TC_ACT_OK;
}

/* A packet at the end of its life is answered; the answer's verdict is returned. */
static __always_inline int ipv6_l3(struct __sk_buff *ctx, const __u8 *smac, const __u8 *dmac,
				   __s8 *ext_err)
{
	struct ipv6hdr *ip6 = ipv6_header(ctx);
	__u8 hop_limit;

	if (!ip6)
		return DROP_INVALID;
	if (ip6->hop_limit <= 1)
		return tail_call_internal(ctx, CILIUM_CALL_SEND_ICMP6_TIME_EXCEEDED, ext_err);
	hop_limit = ip6->hop_limit - 1;
	/* There is no header checksum that would make up for the change in the frame's checksum. */
	if (bpf_skb_store_bytes(ctx, ETH_HLEN + offsetof(struct ipv6hdr, hop_limit), &hop_limit,
				sizeof(hop_limit), BPF_F_RECOMPUTE_CSUM) < 0)
		return DROP_WRITE_ERROR;
	l3_set_macs(ctx, smac, dmac);
	return TC_ACT_OK;
}

static __always_inline int l3(struct __sk_buff *ctx, bool ipv6, const __u8 *smac, const __u8 *dmac,
			      __s8 *ext_err)
{
	return ipv6 ? ipv6_l3(ctx, smac, dmac, ext_err) : ipv4_l3(ctx, smac, dmac);
}
