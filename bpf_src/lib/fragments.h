/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Only the first fragment of a datagram has ports. They are remembered for the others; one that
 * comes before the first is dropped.
 */
#pragma once

#include "config.h"
#include "conntrack_map.h"
#include "drop_reasons.h"
#include "metrics.h"

struct ipv4_frag_id {
	__be32 daddr;
	__be32 saddr;
	__be16 id;
	__u8 proto;
	__u8 pad;
} __packed;

struct ipv4_frag_l4ports {
	__be16 sport;
	__be16 dport;
} __packed;

struct ipv6_frag_id {
	__be32 id;
	__u8 proto;
	__u8 pad[3];
	union v6addr saddr;
	union v6addr daddr;
} __packed;

struct ipv6_frag_l4ports {
	__be16 sport;
	__be16 dport;
} __packed;

_Static_assert(sizeof(struct ipv4_frag_id) == 12, "ipv4_frag_id");
_Static_assert(sizeof(struct ipv6_frag_id) == 40, "ipv6_frag_id");

/* datagram -> the ports in its first fragment */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct ipv4_frag_id);
	__type(value, struct ipv4_frag_l4ports);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, 8192);
} cilium_ipv4_frag_datagrams SEC(".maps");

/* datagram -> the ports in its first fragment */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct ipv6_frag_id);
	__type(value, struct ipv6_frag_l4ports);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, 8192);
} cilium_ipv6_frag_datagrams SEC(".maps");

/*
 * The ports of the fragment whose tuple is in the buffer: those of a first one are kept, those of a
 * later one filled in. In the tuple of a packet dport is where it comes from.
 */
static __always_inline int fragment_ports4(struct __sk_buff *ctx, struct ct_buffer4 *buffer,
					   enum metric_dir dir)
{
	aligned_ipv4_ct_tuple *tuple = &buffer->tuple;
	struct ipv4_frag_l4ports ports = { tuple->dport, tuple->sport }, *first;
	struct ipv4_frag_id key __attribute__((aligned(4))) = {
		.daddr = tuple->daddr,
		.saddr = tuple->saddr,
		.id = buffer->packet.fragment.id,
		.proto = buffer->packet.fragment.protocol,
	};

	if (buffer->packet.fragment.flags & FRAGMENT_LATER) {
		first = bpf_map_lookup_elem(&cilium_ipv4_frag_datagrams, &key);
		if (!first)
			return DROP_FRAG_NOT_FOUND;
		tuple->dport = first->sport;
		tuple->sport = first->dport;
	} else if (bpf_map_update_elem(&cilium_ipv4_frag_datagrams, &key, &ports, BPF_ANY) < 0) {
		update_metrics(ctx->len, dir, REASON_FRAG_PACKET_UPDATE);
	}
	return 0;
}

static __always_inline int fragment_ports6(struct __sk_buff *ctx, struct ct_buffer6 *buffer,
					   enum metric_dir dir)
{
	aligned_ipv6_ct_tuple *tuple = &buffer->tuple;
	struct ipv6_frag_l4ports ports = { tuple->dport, tuple->sport }, *first;
	struct ipv6_frag_id key __attribute__((aligned(8))) = {
		.id = buffer->packet.fragment.id,
		.proto = buffer->packet.fragment.protocol,
		.saddr = tuple->saddr,
		.daddr = tuple->daddr,
	};

	if (buffer->packet.fragment.flags & FRAGMENT_LATER) {
		first = bpf_map_lookup_elem(&cilium_ipv6_frag_datagrams, &key);
		if (!first)
			return DROP_FRAG_NOT_FOUND;
		tuple->dport = first->sport;
		tuple->sport = first->dport;
	} else if (bpf_map_update_elem(&cilium_ipv6_frag_datagrams, &key, &ports, BPF_ANY) < 0) {
		update_metrics(ctx->len, dir, REASON_FRAG_PACKET_UPDATE);
	}
	return 0;
}

static __always_inline int fragment_ports(struct __sk_buff *ctx, union ct_buffer *buffer, bool ipv6,
					  enum metric_dir dir)
{
	return ipv6 ? fragment_ports6(ctx, &buffer->v6, dir)
		    : fragment_ports4(ctx, &buffer->v4, dir);
}
