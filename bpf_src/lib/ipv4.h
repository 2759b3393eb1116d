/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The IPv4 header. */
#pragma once

#include <linux/ip.h>

#include "eth.h"
#include "packet.h"

enum {
	IPV4_MORE_FRAGMENTS_OR_OFFSET = 0x3fff,
	IPV4_FRAGMENT_OFFSET = 0x1fff,
};

/* The header if it lies in the linear part of the packet, else NULL. */
static __always_inline struct iphdr *ipv4_header(struct __sk_buff *ctx)
{
	struct iphdr *ip4 = (void *)(long)ctx->data + ETH_HLEN;

	return (void *)(ip4 + 1) <= (void *)(long)ctx->data_end ? ip4 : NULL;
}

/* The same, after making it linear if need be. Invalidates earlier packet pointers. */
static __always_inline struct iphdr *ipv4_header_pull(struct __sk_buff *ctx)
{
	struct iphdr *ip4 = ipv4_header(ctx);

	if (likely(ip4))
		return ip4;
	if (bpf_skb_pull_data(ctx, ETH_HLEN + sizeof(*ip4)) < 0)
		return NULL;
	return ipv4_header(ctx);
}

static __always_inline __u32 ipv4_l4_off(const struct iphdr *ip4)
{
	return ETH_HLEN + ip4->ihl * 4;
}

static __always_inline struct fragment ipv4_fragment(const struct iphdr *ip4)
{
	return (struct fragment){
		.id = ip4->id,
		.protocol = ip4->protocol,
		.flags = fragment_flags(ip4->frag_off & bpf_htons(IPV4_MORE_FRAGMENTS_OR_OFFSET),
					!(ip4->frag_off & bpf_htons(IPV4_FRAGMENT_OFFSET))),
	};
}

/*
 * Take one hop off the packet's life and correct the checksum. The caller has checked that there
 * is one to take.
 */
static __always_inline void ipv4_dec_ttl(struct iphdr *ip4)
{
	__u32 sum = (__u16)~ip4->check;

	sum += (__u16) ~(__u16)ip4->ttl;
	ip4->ttl--;
	sum += ip4->ttl;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip4->check = ~sum;
}
