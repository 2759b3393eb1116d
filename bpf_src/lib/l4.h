/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * From a packet to its conntrack tuple: addresses, protocol, ports or ICMP identifier, TCP flags.
 */
#pragma once

#include <linux/icmpv6.h>

#include "fragments.h"
#include "icmp.h"
#include "ipv4.h"
#include "ipv6.h"
#include "packet.h"

/*
 * The identifier of an echo stands where the asking side has its port. Errors belong to the
 * connection they are about.
 */
static __always_inline int l4_icmp(struct __sk_buff *ctx, union ct_buffer *buffer, bool ipv6)
{
	const __u8 request = ipv6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO;
	const __u8 reply = ipv6 ? ICMPV6_ECHO_REPLY : ICMP_ECHOREPLY;
	__u32 l4_off = buffer->packet.l4_off;
	__be16 identifier;
	__u8 type;

	if (packet_load(ctx, l4_off, &type) < 0)
		return DROP_CT_INVALID_HDR;
	if (type == request || type == reply) {
		l4_off += offsetof(struct icmphdr, un.echo.id);
		if (packet_load(ctx, l4_off, &identifier) < 0)
			return DROP_CT_INVALID_HDR;
		if (type == request)
			ct_set_ports(buffer, ipv6, identifier, 0);
		else
			ct_set_ports(buffer, ipv6, 0, identifier);
		return 0;
	}
	ct_set_ports(buffer, ipv6, 0, 0);
	if (ipv6 ? type >= ICMPV6_DEST_UNREACH && type <= ICMPV6_PARAMPROB
		 : type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED ||
			    type == ICMP_PARAMETERPROB)
		ct_set_flags(buffer, ipv6, TUPLE_F_RELATED);
	return 0;
}

static __always_inline int l4_load_ports(struct __sk_buff *ctx, union ct_buffer *buffer, bool ipv6)
{
	struct l4_ports ports;

	if (packet_load(ctx, buffer->packet.l4_off, &ports) < 0)
		return DROP_CT_INVALID_HDR;
	ct_set_ports(buffer, ipv6, ports.sport, ports.dport);
	return 0;
}

/*
 * Complete the tuple, which has addresses and protocol, by what the transport header says.
 * Fragments after the first have none. Of fragmented ICMP only echoes can be told by their
 * identifier; everything else is refused.
 */
static __always_inline int l4_extract(struct __sk_buff *ctx, union ct_buffer *buffer, bool ipv6,
				      enum metric_dir dir)
{
	__u8 protocol = ct_protocol(buffer, ipv6), fragment = buffer->packet.fragment.flags;
	bool icmp = protocol == (ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	int ret;

	ct_set_flags(buffer, ipv6, 0);
	if (!icmp && protocol != IPPROTO_TCP && protocol != IPPROTO_UDP &&
	    !(enable_sctp && protocol == IPPROTO_SCTP))
		return DROP_CT_UNKNOWN_PROTO;
	if (icmp && fragment && !enable_icmp_fragments)
		return DROP_INVALID;
	if (unlikely(fragment & FRAGMENT_LATER))
		return fragment_ports(ctx, buffer, ipv6, dir);

	ret = icmp ? l4_icmp(ctx, buffer, ipv6) : l4_load_ports(ctx, buffer, ipv6);
	if (IS_ERR(ret))
		return ret;
	if (unlikely(fragment)) {
		if (icmp && !(ct_dport(buffer, ipv6) | ct_sport(buffer, ipv6)))
			return DROP_INVALID;
		fragment_ports(ctx, buffer, ipv6, dir);
	}
	return 0;
}

/*
 * Fill the buffer with the packet's tuple, addresses as in the packet and ports crosswise to them.
 */
static __always_inline int ipv4_extract_tuple(struct __sk_buff *ctx, struct iphdr *ip4,
					      enum metric_dir dir, union ct_buffer *buffer)
{
	aligned_ipv4_ct_tuple *tuple = &buffer->v4.tuple;
	struct ct_packet *packet = &buffer->packet;

	tuple->daddr = ip4->daddr;
	tuple->saddr = ip4->saddr;
	tuple->nexthdr = ip4->protocol;
	packet->l4_off = ipv4_l4_off(ip4);
	packet->fragment = ipv4_fragment(ip4);
	if (packet->fragment.flags && !enable_ipv4_fragments)
		return DROP_FRAG_NOSUPPORT;
	return l4_extract(ctx, buffer, false, dir);
}

static __always_inline int ipv6_extract_tuple(struct __sk_buff *ctx, struct ipv6hdr *ip6,
					      enum metric_dir dir, union ct_buffer *buffer)
{
	aligned_ipv6_ct_tuple *tuple = &buffer->v6.tuple;
	struct ct_packet *packet = &buffer->packet;
	struct fragment fragment = {};
	__u8 nexthdr = ip6->nexthdr;
	int len;

	tuple->daddr = *ipv6_addr(&ip6->daddr);
	tuple->saddr = *ipv6_addr(&ip6->saddr);
	len = ipv6_walk_headers(ctx, &nexthdr, &fragment);
	if (IS_ERR(len))
		return len;
	tuple->nexthdr = nexthdr;
	packet->l4_off = ETH_HLEN + len;
	packet->fragment = fragment;
	if (fragment.flags && !enable_ipv6_fragments)
		return DROP_FRAG_NOSUPPORT;
	return l4_extract(ctx, buffer, true, dir);
}
