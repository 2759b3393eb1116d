/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Identities by address, for the whole cluster and beyond, by longest prefix. */
#pragma once

#include "types.h"

struct ipcache_key {
	struct bpf_lpm_trie_key lpm_key;
	__u16 cluster_id;
	__u8 pad1;
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

struct remote_endpoint_info {
	__u32 sec_identity;
	union {
		struct {
			__u32 ip4;
			__u32 pad1;
			__u32 pad2;
			__u32 pad3;
		};
		union v6addr ip6;
	} tunnel_endpoint;
	__u16 pad;
	__u8 key;
	__u8 flag_skip_tunnel : 1, flag_has_tunnel_ep : 1, flag_ipv6_tunnel_ep : 1, pad2 : 5;
};

_Static_assert(sizeof(struct ipcache_key) == 24, "ipcache_key");
_Static_assert(sizeof(struct remote_endpoint_info) == 24, "remote_endpoint_info");

enum {
	/* cluster, padding and family stand before the address and always match in full */
	IPCACHE_STATIC_PREFIX = 32,
};

/* prefix -> identity, and the node to reach it through */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct ipcache_key);
	__type(value, struct remote_endpoint_info);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, 512000);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} cilium_ipcache_v2 SEC(".maps");

/* An IPv4 address stands in the first word. */
static __always_inline const struct remote_endpoint_info *ipcache_lookup(const union v6addr *addr,
									 bool ipv6)
{
	struct ipcache_key key = {
		.lpm_key = { .prefixlen = IPCACHE_STATIC_PREFIX + (ipv6 ? 128 : 32) },
		.family = ipv6 ? ENDPOINT_KEY_IPV6 : ENDPOINT_KEY_IPV4,
	};

	if (ipv6)
		key.ip6 = *addr;
	else
		key.ip4 = addr->p1;
	return bpf_map_lookup_elem(&cilium_ipcache_v2, &key);
}
