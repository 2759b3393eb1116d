/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Rewriting addresses and ports of a packet, checksums included. */
#pragma once

#include <linux/in.h>
#include <linux/in6.h>

#include "ip.h"

enum {
	TCP_CSUM_OFFSET = 16,
	UDP_CSUM_OFFSET = 6,
	ICMP6_CSUM_OFFSET = 2,
};

/*
 * Where the transport header has a checksum over the addresses, and how it is to be changed: UDP's
 * zero means that there is none. False for protocols without.
 */
static __always_inline bool xlate_checksum(__u8 protocol, __u32 *offset, __u64 *flags)
{
	*flags = 0;
	switch (protocol) {
	case IPPROTO_TCP:
		*offset = TCP_CSUM_OFFSET;
		return true;
	case IPPROTO_UDP:
		*offset = UDP_CSUM_OFFSET;
		*flags = BPF_F_MARK_MANGLED_0;
		return true;
	case IPPROTO_ICMPV6:
		*offset = ICMP6_CSUM_OFFSET;
		return true;
	}
	return false;
}

/* Replace an address. has_l4: the packet is no later fragment. */
static __always_inline int xlate_address(struct __sk_buff *ctx, bool ipv6, enum ip_side side,
					 __u8 protocol, __u32 l4_off, bool has_l4,
					 union v6addr *old, union v6addr *new)
{
	const __u32 size = ipv6 ? 16 : 4;
	__u32 offset, csum_offset = 0;
	__u64 flags;
	__s64 sum;

	if (ipv6)
		offset = side == IP_SOURCE ? offsetof(struct ipv6hdr, saddr)
					   : offsetof(struct ipv6hdr, daddr);
	else
		offset = side == IP_SOURCE ? offsetof(struct iphdr, saddr)
					   : offsetof(struct iphdr, daddr);

	if (bpf_skb_store_bytes(ctx, ETH_HLEN + offset, new, size, 0) < 0)
		return DROP_WRITE_ERROR;
	sum = bpf_csum_diff(&old->p1, size, &new->p1, size, 0);
	if (!ipv6 &&
	    bpf_l3_csum_replace(ctx, ETH_HLEN + offsetof(struct iphdr, check), 0, sum, 0) < 0)
		return DROP_CSUM_L3;
	if (has_l4 && xlate_checksum(protocol, &csum_offset, &flags) &&
	    bpf_l4_csum_replace(ctx, l4_off + csum_offset, 0, sum, flags | BPF_F_PSEUDO_HDR) < 0)
		return DROP_CSUM_L4;
	return 0;
}

/*
 * Replace a port; of what has none nothing is changed. SCTP's checksum is one over the whole packet
 * and cannot be corrected in place.
 */
static __always_inline int xlate_port(struct __sk_buff *ctx, enum ip_side side, __u8 protocol,
				      __u32 l4_off, bool has_l4, __be16 old, __be16 new)
{
	__u32 csum_offset;
	__u64 flags;

	if (!has_l4 || !new || old == new)
		return 0;
	if (protocol == IPPROTO_SCTP)
		return DROP_CSUM_L4;
	if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)
		return 0;
	if (!xlate_checksum(protocol, &csum_offset, &flags))
		return 0;
	if (bpf_l4_csum_replace(ctx, l4_off + csum_offset, old, new, flags | sizeof(new)) < 0)
		return DROP_CSUM_L4;
	if (bpf_skb_store_bytes(ctx, l4_off + (side == IP_DESTINATION ? sizeof(new) : 0), &new,
				sizeof(new), 0) < 0)
		return DROP_WRITE_ERROR;
	return 0;
}
