/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * ICMPv6 that the node answers itself: neighbour solicitations, and packets at the end of their
 * life.
 */
#pragma once

#include <linux/icmpv6.h>

#include "config.h"
#include "endpoint.h"
#include "ipv6.h"
#include "tailcall.h"

enum {
	ICMP6_NS = 135,
	ICMP6_NA = 136,
};

enum {
	ND_OPT_TARGET_LL_ADDR = 2,
	NA_FLAG_ROUTER = 0x80,
	NA_FLAG_SOLICITED = 0x40,
	NA_FLAG_OVERRIDE = 0x20,
	ICMP6_OFF = ETH_HLEN + sizeof(struct ipv6hdr),
};

/* A neighbour advertisement with the MAC of the target. */
struct icmp6_na {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__u8 flags;
	__u8 reserved[3];
	union v6addr target;
	__u8 opt_type;
	__u8 opt_len;
	__u8 mac[6];
};

/* An error about a packet: its header and the first bytes after it. */
struct icmp6_error {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be32 unused;
	struct ipv6hdr ip6;
	__u8 upper[20];
};

_Static_assert(sizeof(struct icmp6_na) == 32, "icmp6_na");
_Static_assert(sizeof(struct icmp6_error) == 68, "icmp6_error");

static __always_inline __be16 csum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* sum: of the message, len bytes, in which the checksum is zero. */
static __always_inline __be16 icmp6_checksum(const union v6addr *from, const union v6addr *to,
					     __u32 len, __u32 sum)
{
	struct {
		union v6addr from;
		union v6addr to;
		__be32 len;
		__be32 nexthdr;
	} pseudo = {
		.from = *from,
		.to = *to,
		.len = bpf_htonl(len),
		.nexthdr = bpf_htonl(IPPROTO_ICMPV6),
	};

	return csum_fold(bpf_csum_diff(NULL, 0, (void *)&pseudo, sizeof(pseudo), sum));
}

/*
 * Send the packet's sender the first len bytes of a message in place of the packet; the rest of the
 * message's size is zero. checksum points into the message, where it is zero. The hop limit stays
 * what it was: the answer goes no further than the endpoint's interface.
 */
static __always_inline int icmp6_answer(struct __sk_buff *ctx, const union v6addr *from,
					void *message, const __u32 size, __u32 len,
					__be16 *checksum)
{
	struct ipv6hdr *ip6;
	union v6addr to;

	if (bpf_skb_change_tail(ctx, ICMP6_OFF + len, 0) < 0)
		return DROP_WRITE_ERROR;
	ip6 = ipv6_header_pull(ctx);
	if (!ip6)
		return DROP_INVALID;
	to = *ipv6_addr(&ip6->saddr);
	*(union v6addr *)&ip6->saddr = *from;
	*(union v6addr *)&ip6->daddr = to;
	ip6->payload_len = bpf_htons(len);
	ip6->nexthdr = IPPROTO_ICMPV6;

	*checksum = icmp6_checksum(from, &to, len, bpf_csum_diff(NULL, 0, message, size, 0));
	if (bpf_skb_store_bytes(ctx, ICMP6_OFF, message, len, BPF_F_RECOMPUTE_CSUM) < 0)
		return DROP_WRITE_ERROR;
	return eth_send_back(ctx);
}

/*
 * Turn a solicitation that has more than one option into its answer. The others stay, so the
 * checksum is corrected and not computed.
 */
static __always_inline int icmp6_turn_ns(struct __sk_buff *ctx, struct icmp6_na *na)
{
	struct icmp6_na ns;
	struct ipv6hdr *ip6;
	struct {
		union v6addr from;
		union v6addr to;
	} asked, answered;
	__u32 sum;

	if (bpf_skb_load_bytes(ctx, ICMP6_OFF, &ns, sizeof(ns)) < 0)
		return DROP_INVALID;
	ip6 = ipv6_header(ctx);
	if (!ip6)
		return DROP_INVALID;
	asked.from = *ipv6_addr(&ip6->saddr);
	asked.to = *ipv6_addr(&ip6->daddr);
	answered.from = na->target;
	answered.to = asked.from;
	*(union v6addr *)&ip6->saddr = answered.from;
	*(union v6addr *)&ip6->daddr = answered.to;

	sum = (__u16)~ns.checksum;
	ns.checksum = 0;
	sum = bpf_csum_diff((void *)&ns, sizeof(ns), (void *)na, sizeof(*na), sum);
	na->checksum = csum_fold(bpf_csum_diff((void *)&asked, sizeof(asked), (void *)&answered,
					       sizeof(answered), sum));
	if (bpf_skb_store_bytes(ctx, ICMP6_OFF, na, sizeof(*na), BPF_F_RECOMPUTE_CSUM) < 0)
		return DROP_WRITE_ERROR;
	return eth_send_back(ctx);
}

static __always_inline bool icmp6_is_ndp(struct __sk_buff *ctx, const struct ipv6hdr *ip6,
					 __u8 *type)
{
	if (ip6->nexthdr != IPPROTO_ICMPV6)
		return false;
	if (bpf_skb_load_bytes(ctx, ICMP6_OFF, type, sizeof(*type)) < 0)
		return false;
	return *type == ICMP6_NS || *type == ICMP6_NA;
}

/*
 * All endpoints of the node stand behind the router's MAC. The host's own addresses are left to
 * its stack, which learns the endpoint's MAC from the question.
 */
static __always_inline int icmp6_handle_ns(struct __sk_buff *ctx)
{
	union macaddr mac = interface_mac_value();
	struct icmp6_na na = {
		.type = ICMP6_NA,
		.flags = NA_FLAG_ROUTER | NA_FLAG_SOLICITED,
		.opt_type = ND_OPT_TARGET_LL_ADDR,
		.opt_len = 1,
	};
	const struct endpoint_info *ep;
	struct ipv6hdr *ip6;
	union v6addr router = {
		.p1 = router_ipv6.p1,
		.p2 = router_ipv6.p2,
		.p3 = router_ipv6.p3,
		.p4 = router_ipv6.p4,
	};

	if (bpf_skb_load_bytes(ctx, ICMP6_OFF + offsetof(struct icmp6_na, target), &na.target,
			       sizeof(na.target)) < 0)
		return DROP_INVALID;
	if (!ipv6_addr_equals(&na.target, &router)) {
		ep = endpoint_lookup(&na.target, true);
		if (!ep)
			return DROP_UNKNOWN_TARGET;
		if (ep->flags & ENDPOINT_F_HOST)
			return TC_ACT_OK;
		na.flags = NA_FLAG_SOLICITED | NA_FLAG_OVERRIDE;
	}
	__builtin_memcpy(na.mac, mac.addr, sizeof(na.mac));
	ip6 = ipv6_header(ctx);
	if (ip6 && unlikely(bpf_ntohs(ip6->payload_len) > sizeof(na)))
		return icmp6_turn_ns(ctx, &na);
	return icmp6_answer(ctx, &na.target, &na, sizeof(na), sizeof(na), &na.checksum);
}

static __always_inline int icmp6_send_time_exceeded(struct __sk_buff *ctx)
{
	const __u32 without_upper = offsetof(struct icmp6_error, upper);
	struct icmp6_error error = { .type = ICMPV6_TIME_EXCEED };
	union v6addr router = {
		.p1 = router_ipv6.p1,
		.p2 = router_ipv6.p2,
		.p3 = router_ipv6.p3,
		.p4 = router_ipv6.p4,
	};

	if (bpf_skb_load_bytes(ctx, ETH_HLEN, &error.ip6, sizeof(error.ip6)) < 0)
		return DROP_INVALID;
	switch (error.ip6.nexthdr) {
	case IPPROTO_ICMPV6:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		if (bpf_skb_load_bytes(ctx, ICMP6_OFF, error.upper, 8) < 0)
			return DROP_INVALID;
		return icmp6_answer(ctx, &router, &error, sizeof(error), without_upper + 8,
				    &error.checksum);
	case IPPROTO_TCP:
		if (bpf_skb_load_bytes(ctx, ICMP6_OFF, error.upper, 20) < 0)
			return DROP_INVALID;
		return icmp6_answer(ctx, &router, &error, sizeof(error), without_upper + 20,
				    &error.checksum);
	}
	return DROP_UNKNOWN_L4;
}
