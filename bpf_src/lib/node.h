/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The nodes of the cluster by address. */
#pragma once

#include "types.h"

struct node_key {
	__u16 pad1;
	__u8 pad2;
	__u8 family;
	union {
		struct {
			__u32 ip4;
			__u32 pad4;
			__u32 pad5;
			__u32 pad6;
		};
		union v6addr ip6;
	};
};

struct node_value {
	__u16 id;
	__u8 spi;
	__u8 pad;
};

_Static_assert(sizeof(struct node_key) == 20, "node_key");
_Static_assert(sizeof(struct node_value) == 4, "node_value");

/* address of a node -> its number in this node's view */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct node_key);
	__type(value, struct node_value);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} cilium_node_map_v2 SEC(".maps");

static __always_inline const struct node_value *node_lookup_ip4(__be32 addr)
{
	struct node_key key = { .family = ENDPOINT_KEY_IPV4, .ip4 = addr };

	return bpf_map_lookup_elem(&cilium_node_map_v2, &key);
}

static __always_inline const struct node_value *node_lookup_ip6(const union v6addr *addr)
{
	struct node_key key = { .family = ENDPOINT_KEY_IPV6, .ip6 = *addr };

	return bpf_map_lookup_elem(&cilium_node_map_v2, &key);
}
