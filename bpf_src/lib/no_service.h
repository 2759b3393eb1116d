/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A service without backends says so: its clients get ICMP port unreachable at once, not a time-
 * out. The answer quotes as many bytes as the refused frame had, up to a limit; beyond the end of
 * the packet they are zero.
 */
#pragma once

#include "icmp.h"
#include "icmp6.h"
#include "ratelimit.h"

enum {
	NO_SERVICE_QUOTE4 = 64,
	/* what the smallest link carries, less the headers */
	NO_SERVICE_QUOTE6 = 1232,
	/* the quote is summed up in pieces, of which the limits are multiples */
	NO_SERVICE_PIECE4 = 64,
	NO_SERVICE_PIECE6 = 112,
	NO_SERVICE_TTL = 64,
	NO_SERVICE_PER_SECOND = 100,
	NO_SERVICE_BURST = 1000,
};

_Static_assert(NO_SERVICE_QUOTE4 % NO_SERVICE_PIECE4 == 0, "IPv4 quote");
_Static_assert(NO_SERVICE_QUOTE6 % NO_SERVICE_PIECE6 == 0, "IPv6 quote");

/* What stands before the quote. */
struct icmp4_unreachable {
	struct iphdr ip4;
	struct icmphdr icmp;
};

struct icmp6_unreachable {
	struct ipv6hdr ip6;
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be32 unused;
};

_Static_assert(sizeof(struct icmp4_unreachable) == 28, "icmp4_unreachable");
_Static_assert(sizeof(struct icmp6_unreachable) == 48, "icmp6_unreachable");

static __always_inline bool no_service_allowed(struct __sk_buff *ctx)
{
	struct ratelimit_key key = {
		.usage = RATELIMIT_USAGE_ICMPV6,
		.key.icmpv6.netdev_idx = ctx->ifindex,
	};

	return ratelimit_take(&key, NO_SERVICE_PER_SECOND, NO_SERVICE_BURST);
}

/*
 * Cut the packet to the quote, whose sum goes to *sum, and make room for the headers before it.
 * Returns the quote's length, or a drop reason.
 */
static __always_inline int no_service_quote(struct __sk_buff *ctx, const __u32 limit, void *piece,
					    const __u32 piece_len, const __u32 head, __u32 *sum)
{
	__u32 quoted = ctx->len < limit ? ctx->len : limit;
	__u32 whole = (quoted + piece_len - 1) / piece_len * piece_len;

	if (bpf_skb_change_tail(ctx, ETH_HLEN + whole, 0) < 0)
		return DROP_WRITE_ERROR;
	for (__u32 at = 0; at < limit; at += piece_len) {
		if (at >= whole)
			break;
		if (bpf_skb_load_bytes(ctx, ETH_HLEN + at, piece, piece_len) < 0)
			return DROP_INVALID;
		*sum = bpf_csum_diff(NULL, 0, piece, piece_len, *sum);
	}
	if (bpf_skb_change_tail(ctx, ETH_HLEN + quoted, 0) < 0 ||
	    bpf_skb_adjust_room(ctx, head, BPF_ADJ_ROOM_MAC, 0) < 0)
		return DROP_WRITE_ERROR;
	return quoted;
}

/* Write the headers, and send all of it back. */
static __always_inline int no_service_answer(struct __sk_buff *ctx, void *head, const __u32 len)
{
	if (bpf_skb_store_bytes(ctx, ETH_HLEN, head, len, BPF_F_RECOMPUTE_CSUM) < 0)
		return DROP_WRITE_ERROR;
	return eth_send_back(ctx);
}

static __always_inline int icmp4_no_service(struct __sk_buff *ctx)
{
	struct icmp4_unreachable head = {
		.ip4 = {
			.version = 4,
			.ihl = sizeof(struct iphdr) / 4,
			.ttl = NO_SERVICE_TTL,
			.protocol = IPPROTO_ICMP,
		},
		.icmp = { .type = ICMP_DEST_UNREACH, .code = ICMP_PORT_UNREACH },
	};
	__u64 piece[NO_SERVICE_PIECE4 / sizeof(__u64)];
	struct iphdr *ip4 = ipv4_header(ctx);
	__u32 sum = 0;
	int quoted;

	if (!ip4)
		return DROP_INVALID;
	head.ip4.tos = ip4->tos;
	head.ip4.saddr = ip4->daddr;
	head.ip4.daddr = ip4->saddr;
	if (!no_service_allowed(ctx))
		return DROP_RATE_LIMITED;
	quoted = no_service_quote(ctx, NO_SERVICE_QUOTE4, piece, sizeof(piece), sizeof(head), &sum);
	if (IS_ERR(quoted))
		return quoted;

	head.ip4.tot_len = bpf_htons(sizeof(head) + quoted);
	head.ip4.check = csum_fold(bpf_csum_diff(NULL, 0, (void *)&head.ip4, sizeof(head.ip4), 0));
	head.icmp.checksum =
		csum_fold(bpf_csum_diff(NULL, 0, (void *)&head.icmp, sizeof(head.icmp), sum));
	return no_service_answer(ctx, &head, sizeof(head));
}

static __always_inline int icmp6_no_service(struct __sk_buff *ctx)
{
	const __u32 message = sizeof(struct icmp6_unreachable) - sizeof(struct ipv6hdr);
	struct icmp6_unreachable head = {
		.ip6 = { .version = 6, .nexthdr = IPPROTO_ICMPV6, .hop_limit = NO_SERVICE_TTL },
		.type = ICMPV6_DEST_UNREACH,
		.code = ICMPV6_PORT_UNREACH,
	};
	__u64 piece[NO_SERVICE_PIECE6 / sizeof(__u64)];
	struct ipv6hdr *ip6 = ipv6_header(ctx);
	__u32 sum = 0;
	int quoted;

	if (!ip6)
		return DROP_INVALID;
	head.ip6.saddr = ip6->daddr;
	head.ip6.daddr = ip6->saddr;
	if (!no_service_allowed(ctx))
		return DROP_RATE_LIMITED;
	quoted = no_service_quote(ctx, NO_SERVICE_QUOTE6, piece, sizeof(piece), sizeof(head), &sum);
	if (IS_ERR(quoted))
		return quoted;

	head.ip6.payload_len = bpf_htons(message + quoted);
	sum = bpf_csum_diff(NULL, 0, (void *)&head.type, message, sum);
	head.checksum = icmp6_checksum(ipv6_addr(&head.ip6.saddr), ipv6_addr(&head.ip6.daddr),
				       message + quoted, sum);
	return no_service_answer(ctx, &head, sizeof(head));
}
