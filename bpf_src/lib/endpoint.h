/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The endpoints of this node by address; the host's own addresses are among them. */
#pragma once

#include "types.h"

typedef __u64 mac_t;

struct endpoint_key {
	union {
		struct {
			__u32 ip4;
			__u32 pad1;
			__u32 pad2;
			__u32 pad3;
		};
		union v6addr ip6;
	};
	__u8 family;
	__u8 key;
	__u16 cluster_id;
};

struct endpoint_info {
	__u32 ifindex;
	__u16 unused;
	__u16 lxc_id;
	__u32 flags;
	mac_t mac;
	mac_t node_mac;
	__u32 sec_id;
	__u32 parent_ifindex;
	__u32 pad[2];
};

_Static_assert(sizeof(struct endpoint_key) == 20, "endpoint_key");
_Static_assert(sizeof(struct endpoint_info) == 48, "endpoint_info");

enum {
	ENDPOINT_F_HOST = 1,
	ENDPOINT_F_ATHOSTNS = 2,
	ENDPOINT_MASK_HOST_DELIVERY = ENDPOINT_F_HOST | ENDPOINT_F_ATHOSTNS,
};

/* address of an endpoint -> its number, interface and MACs */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct endpoint_key);
	__type(value, struct endpoint_info);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, 65535);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} cilium_lxc SEC(".maps");

/* An IPv4 address stands in the first word. */
static __always_inline const struct endpoint_info *endpoint_lookup(const union v6addr *addr,
								   bool ipv6)
{
	struct endpoint_key key = { .family = ipv6 ? ENDPOINT_KEY_IPV6 : ENDPOINT_KEY_IPV4 };

	if (ipv6)
		key.ip6 = *addr;
	else
		key.ip4 = addr->p1;
	return bpf_map_lookup_elem(&cilium_lxc, &key);
}
