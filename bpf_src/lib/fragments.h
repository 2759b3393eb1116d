/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Only the first fragment of a datagram has ports. They are remembered for the others; one that
 * comes before the first is dropped.
 */
#pragma once

#include "config.h"
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

/* What a packet's IP headers say of fragmentation. id: as in the packet. */
struct fragment {
	__be32 id;
	bool is_fragment;
	bool has_l4;
	__u8 pad[2];
};

/* Keep the ports of a first fragment: source, then destination. */
static __always_inline void fragment_remember(struct __sk_buff *ctx, void *map, const void *key,
					      enum metric_dir dir, const __be16 *ports)
{
	__u32 value;

	__builtin_memcpy(&value, ports, sizeof(value));
	if (bpf_map_update_elem(map, key, &value, BPF_ANY) < 0)
		update_metrics(ctx->len, dir, REASON_FRAG_PACKET_UPDATE);
	update_metrics(ctx->len, dir, REASON_FRAG_PACKET);
}

static __always_inline int fragment_recall(struct __sk_buff *ctx, void *map, const void *key,
					   enum metric_dir dir, __be16 *ports)
{
	__u32 *value = bpf_map_lookup_elem(map, key);

	if (!value)
		return DROP_FRAG_NOT_FOUND;
	__builtin_memcpy(ports, value, sizeof(*value));
	update_metrics(ctx->len, dir, REASON_FRAG_PACKET);
	return 0;
}
