/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A service without backends says so: its clients get ICMP port unreachable at once, not a time-
 * out.
 */
#pragma once

#include "icmp.h"
#include "icmp6.h"
#include "ratelimit.h"

enum {
	/* bytes of the refused packet in the answer */
	NO_SERVICE_SAMPLE4 = 64,
	NO_SERVICE_SAMPLE6 = 128,
	NO_SERVICE_TTL = 64,
	NO_SERVICE_PER_SECOND = 100,
	NO_SERVICE_BURST = 1000,
};

struct icmp4_unreachable {
	struct iphdr ip4;
	struct icmphdr icmp;
	__u8 sample[NO_SERVICE_SAMPLE4];
} __attribute__((aligned(8)));

struct icmp6_unreachable {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be32 unused;
	__u8 sample[NO_SERVICE_SAMPLE6];
} __attribute__((aligned(8)));

static __always_inline bool no_service_allowed(struct __sk_buff *ctx)
{
	struct ratelimit_key key = {
		.usage = RATELIMIT_USAGE_ICMPV6,
		.key.icmpv6.netdev_idx = ctx->ifindex,
	};

	return ratelimit_take(&key, NO_SERVICE_PER_SECOND, NO_SERVICE_BURST);
}

/*
 * Read what there is of the packet, at most room bytes. Counted from one below, so that verifiers
 * before Linux 6.8 see that the length is not zero.
 */
static __always_inline int no_service_sample(struct __sk_buff *ctx, void *sample, __u32 room)
{
	__u32 last = ctx->len - ETH_HLEN - 1;

	if (last >= room)
		last = room - 1;
	barrier_var(last);
	return bpf_skb_load_bytes(ctx, ETH_HLEN, sample, last + 1) < 0 ? DROP_INVALID : 0;
}

/* The sample has the length of the frame, or what is allowed; beyond the packet it is zero. */
static __always_inline int icmp4_no_service(struct __sk_buff *ctx)
{
	const __u32 head = offsetof(struct icmp4_unreachable, sample);
	union macaddr mac = interface_mac_value();
	struct icmp4_unreachable answer = {};
	__u32 sampled = ctx->len;
	struct iphdr *ip4;
	struct ethhdr *eth;

	if (sampled > NO_SERVICE_SAMPLE4)
		sampled = NO_SERVICE_SAMPLE4;
	if (!no_service_allowed(ctx))
		return DROP_RATE_LIMITED;
	if (no_service_sample(ctx, answer.sample, sizeof(answer.sample)) < 0)
		return DROP_INVALID;
	ip4 = ipv4_header(ctx);
	if (!ip4)
		return DROP_INVALID;

	answer.icmp.type = ICMP_DEST_UNREACH;
	answer.icmp.code = ICMP_PORT_UNREACH;
	answer.icmp.checksum = csum_fold(bpf_csum_diff(
		NULL, 0, (void *)&answer.icmp, sizeof(answer.icmp) + sizeof(answer.sample), 0));
	answer.ip4.version = 4;
	answer.ip4.ihl = sizeof(answer.ip4) / 4;
	answer.ip4.tot_len = bpf_htons(head + sampled);
	answer.ip4.ttl = NO_SERVICE_TTL;
	answer.ip4.protocol = IPPROTO_ICMP;
	answer.ip4.saddr = ip4->daddr;
	answer.ip4.daddr = ip4->saddr;
	answer.ip4.check =
		csum_fold(bpf_csum_diff(NULL, 0, (void *)&answer.ip4, sizeof(answer.ip4), 0));

	if (bpf_skb_change_tail(ctx, ETH_HLEN + head + sampled, 0) < 0)
		return DROP_WRITE_ERROR;
	if (bpf_skb_pull_data(ctx, ETH_HLEN) < 0)
		return DROP_INVALID;
	eth = (void *)(long)ctx->data;
	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return DROP_INVALID;
	mac_copy(eth->h_dest, eth->h_source);
	mac_copy(eth->h_source, mac.addr);
	if (bpf_skb_store_bytes(ctx, ETH_HLEN, &answer, head + sampled, BPF_F_RECOMPUTE_CSUM) < 0)
		return DROP_WRITE_ERROR;
	return ctx_redirect(ctx, ctx->ifindex, 0);
}

static __always_inline int icmp6_no_service(struct __sk_buff *ctx)
{
	const __u32 head = offsetof(struct icmp6_unreachable, sample);
	struct icmp6_unreachable answer = {
		.type = ICMPV6_DEST_UNREACH,
		.code = ICMPV6_PORT_UNREACH,
	};
	__u32 sampled = ctx->len;
	struct ipv6hdr *ip6;
	union v6addr from;

	if (sampled > NO_SERVICE_SAMPLE6)
		sampled = NO_SERVICE_SAMPLE6;
	if (!no_service_allowed(ctx))
		return DROP_RATE_LIMITED;
	if (no_service_sample(ctx, answer.sample, sizeof(answer.sample)) < 0)
		return DROP_INVALID;
	ip6 = ipv6_header(ctx);
	if (!ip6)
		return DROP_INVALID;
	from = *ipv6_addr(&ip6->daddr);
	return icmp6_answer(ctx, &from, &answer, sizeof(answer), head + sampled, &answer.checksum);
}
