/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * From a packet to its conntrack tuple: addresses, protocol, ports or ICMP identifier, TCP flags.
 */
#pragma once

#include <linux/icmpv6.h>

#include "conntrack_map.h"
#include "icmp.h"
#include "ipv4.h"
#include "ipv6.h"

enum {
	TCP_FLAGS_OFFSET = 13,
};

/*
 * The identifier of an echo stands where the asking side has its port. Errors belong to the
 * connection they are about.
 */
static __always_inline int l4_icmp(struct __sk_buff *ctx, __u32 l4_off, bool ipv6, __be16 *ports,
				   __u8 *tuple_flags)
{
	const __u8 request = ipv6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO;
	const __u8 reply = ipv6 ? ICMPV6_ECHO_REPLY : ICMP_ECHOREPLY;
	__be16 identifier;
	__u8 type;

	if (bpf_skb_load_bytes(ctx, l4_off, &type, sizeof(type)) < 0)
		return DROP_CT_INVALID_HDR;

	ports[0] = 0;
	ports[1] = 0;
	if (type == request || type == reply) {
		if (bpf_skb_load_bytes(ctx, l4_off + offsetof(struct icmphdr, un.echo.id),
				       &identifier, sizeof(identifier)) < 0)
			return DROP_CT_INVALID_HDR;
		if (type == request)
			ports[0] = identifier;
		else
			ports[1] = identifier;
		return 0;
	}
	if (ipv6 ? type >= ICMPV6_DEST_UNREACH && type <= ICMPV6_PARAMPROB
		 : type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED ||
			    type == ICMP_PARAMETERPROB)
		*tuple_flags |= TUPLE_F_RELATED;
	return 0;
}

/*
 * ports: source, then destination, as in the packet. Fragments after the first have no TCP flags.
 * Of fragmented ICMP only echoes can be told by their identifier; everything else is refused.
 */
static __always_inline int l4_extract(struct __sk_buff *ctx, __u8 protocol, __u32 l4_off, bool ipv6,
				      const struct fragment *fragment, void *frag_map,
				      const void *frag_key, enum metric_dir dir, __be16 *ports,
				      __u8 *tcp_flags, __u8 *tuple_flags)
{
	bool icmp = protocol == (ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	int ret;

	if (!icmp && protocol != IPPROTO_TCP && protocol != IPPROTO_UDP &&
	    !(enable_sctp && protocol == IPPROTO_SCTP))
		return DROP_CT_UNKNOWN_PROTO;
	if (icmp && fragment->is_fragment && !enable_icmp_fragments)
		return DROP_INVALID;
	if (unlikely(!fragment->has_l4))
		return fragment_recall(ctx, frag_map, frag_key, dir, ports);

	if (icmp) {
		ret = l4_icmp(ctx, l4_off, ipv6, ports, tuple_flags);
		if (IS_ERR(ret))
			return ret;
		if (fragment->is_fragment && !(ports[0] | ports[1]))
			return DROP_INVALID;
	} else if (bpf_skb_load_bytes(ctx, l4_off, ports, 2 * sizeof(*ports)) < 0) {
		return DROP_CT_INVALID_HDR;
	}
	if (unlikely(fragment->is_fragment))
		fragment_remember(ctx, frag_map, frag_key, dir, ports);
	if (protocol == IPPROTO_TCP &&
	    bpf_skb_load_bytes(ctx, l4_off + TCP_FLAGS_OFFSET, tcp_flags, sizeof(*tcp_flags)) < 0)
		return DROP_CT_INVALID_HDR;
	return 0;
}

static __always_inline __u8 fragment_byte(const struct fragment *fragment)
{
	return (fragment->is_fragment ? FRAGMENT_ANY : 0) | (fragment->has_l4 ? 0 : FRAGMENT_LATER);
}

/*
 * Fill the buffer with the packet's tuple, addresses as in the packet and ports crosswise to them.
 */
static __always_inline int ipv4_extract_tuple(struct __sk_buff *ctx, struct iphdr *ip4,
					      enum metric_dir dir, struct ct_buffer4 *buffer)
{
	struct fragment fragment = {};
	struct ipv4_frag_id key = {};
	__be16 ports[2] = {};
	__u8 tcp_flags = 0, tuple_flags = 0;
	int ret;

	ipv4_fragment(ip4, &fragment);
	if (fragment.is_fragment && !enable_ipv4_fragments)
		return DROP_FRAG_NOSUPPORT;
	key.daddr = ip4->daddr;
	key.saddr = ip4->saddr;
	key.id = fragment.id;
	key.proto = ip4->protocol;
	buffer->result.l4_off = ipv4_l4_off(ip4);

	ret = l4_extract(ctx, key.proto, buffer->result.l4_off, false, &fragment,
			 &cilium_ipv4_frag_datagrams, &key, dir, ports, &tcp_flags, &tuple_flags);
	buffer->tuple.daddr = key.daddr;
	buffer->tuple.saddr = key.saddr;
	buffer->tuple.dport = ports[0];
	buffer->tuple.sport = ports[1];
	buffer->tuple.nexthdr = key.proto;
	buffer->tuple.flags = tuple_flags;
	buffer->tcp_flags = tcp_flags;
	buffer->fragment = fragment_byte(&fragment);
	return ret;
}

static __always_inline int ipv6_extract_tuple(struct __sk_buff *ctx, struct ipv6hdr *ip6,
					      enum metric_dir dir, struct ct_buffer6 *buffer)
{
	struct fragment fragment = { .has_l4 = true };
	struct ipv6_frag_id key = {};
	__be16 ports[2] = {};
	__u8 tcp_flags = 0, tuple_flags = 0;
	int len, ret;

	key.proto = ip6->nexthdr;
	key.saddr = *ipv6_addr(&ip6->saddr);
	key.daddr = *ipv6_addr(&ip6->daddr);
	len = ipv6_walk_headers(ctx, &key.proto, &fragment);
	if (IS_ERR(len))
		return len;
	if (fragment.is_fragment && !enable_ipv6_fragments)
		return DROP_FRAG_NOSUPPORT;
	key.id = fragment.id;
	buffer->result.l4_off = ETH_HLEN + len;

	ret = l4_extract(ctx, key.proto, buffer->result.l4_off, true, &fragment,
			 &cilium_ipv6_frag_datagrams, &key, dir, ports, &tcp_flags, &tuple_flags);
	buffer->tuple.daddr = key.daddr;
	buffer->tuple.saddr = key.saddr;
	buffer->tuple.dport = ports[0];
	buffer->tuple.sport = ports[1];
	buffer->tuple.nexthdr = key.proto;
	buffer->tuple.flags = tuple_flags;
	buffer->tcp_flags = tcp_flags;
	buffer->fragment = fragment_byte(&fragment);
	return ret;
}
