/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The IPv6 header and the headers that may follow it. */
#pragma once

#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ipv6.h>

#include "drop_reasons.h"
#include "eth.h"
#include "packet.h"

enum {
	/*
	 * headers of a packet that are looked at before its payload must start, the first one
	 * included
	 */
	IPV6_MAX_HEADERS = 4,
};

enum {
	NEXTHDR_HOP = 0,
	NEXTHDR_ROUTING = 43,
	NEXTHDR_FRAGMENT = 44,
	NEXTHDR_AUTH = 51,
	NEXTHDR_NONE = 59,
	NEXTHDR_DEST = 60,
};

enum {
	IPV6_MORE_FRAGMENTS_OR_OFFSET = 0xfff9,
	IPV6_FRAGMENT_OFFSET = 0xfff8,
};

struct ipv6_frag_hdr {
	__u8 nexthdr;
	__u8 reserved;
	__be16 frag_off;
	__be32 id;
};

/* The header if it lies in the linear part of the packet, else NULL. */
static __always_inline struct ipv6hdr *ipv6_header(struct __sk_buff *ctx)
{
	struct ipv6hdr *ip6 = (void *)(long)ctx->data + ETH_HLEN;

	return (void *)(ip6 + 1) <= (void *)(long)ctx->data_end ? ip6 : NULL;
}

/* The same, after making it linear if need be. Invalidates earlier packet pointers. */
static __always_inline struct ipv6hdr *ipv6_header_pull(struct __sk_buff *ctx)
{
	struct ipv6hdr *ip6 = ipv6_header(ctx);

	if (likely(ip6))
		return ip6;
	if (bpf_skb_pull_data(ctx, ETH_HLEN + sizeof(*ip6)) < 0)
		return NULL;
	return ipv6_header(ctx);
}

static __always_inline bool ipv6_addr_equals(const union v6addr *a, const union v6addr *b)
{
	return a->p1 == b->p1 && a->p2 == b->p2 && a->p3 == b->p3 && a->p4 == b->p4;
}

static __always_inline const union v6addr *ipv6_addr(const struct in6_addr *addr)
{
	return (const union v6addr *)addr;
}

/*
 * Walk the extension headers. On entry *nexthdr is the first header's type, on return the
 * payload's. Returns the length of all headers together, or a drop reason.
 */
__verified_alone int ipv6_walk_headers(struct __sk_buff *ctx, __u8 *nexthdr,
				       struct fragment *fragment)
{
	__u32 len = sizeof(struct ipv6hdr);
	struct ipv6_frag_hdr frag;
	struct ipv6_opt_hdr opt;

	if (!nexthdr || !fragment)
		return DROP_INVALID;
	for (int i = 0; i < IPV6_MAX_HEADERS; i++) {
		switch (*nexthdr) {
		case NEXTHDR_NONE:
			return DROP_INVALID_EXTHDR;
		case NEXTHDR_FRAGMENT:
			if (bpf_skb_load_bytes(ctx, ETH_HLEN + len, &frag, sizeof(frag)) < 0)
				return DROP_INVALID;
			fragment->id = frag.id;
			fragment->protocol = frag.nexthdr;
			fragment->flags = fragment_flags(
				frag.frag_off & bpf_htons(IPV6_MORE_FRAGMENTS_OR_OFFSET),
				!(frag.frag_off & bpf_htons(IPV6_FRAGMENT_OFFSET)));
			*nexthdr = frag.nexthdr;
			len += sizeof(frag);
			break;
		case NEXTHDR_HOP:
		case NEXTHDR_ROUTING:
		case NEXTHDR_AUTH:
		case NEXTHDR_DEST:
			if (bpf_skb_load_bytes(ctx, ETH_HLEN + len, &opt, sizeof(opt)) < 0)
				return DROP_INVALID;
			len += *nexthdr == NEXTHDR_AUTH ? (opt.hdrlen + 2) << 2
							: (opt.hdrlen + 1) << 3;
			*nexthdr = opt.nexthdr;
			break;
		default:
			return len;
		}
	}
	return DROP_INVALID_EXTHDR;
}
