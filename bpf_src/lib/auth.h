/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Mutual authentication: which pairs of identities have proved themselves to each other, and until
 * when.
 */
#pragma once

#include "ctx.h"
#include "drop_reasons.h"
#include "ipcache.h"
#include "node.h"

struct auth_key {
	__u32 local_sec_label;
	__u32 remote_sec_label;
	__u16 remote_node_id;
	__u8 auth_type;
	__u8 pad;
};

struct auth_info {
	__u64 expiration;
};

_Static_assert(sizeof(struct auth_key) == 12, "auth_key");

/*
 * identities, node and kind of authentication -> the time it expires, in units of 512 ns since
 * 1970
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct auth_key);
	__type(value, struct auth_info);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} cilium_auth_map SEC(".maps");

/* number of a setting -> its value, which the control side keeps up to date */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, 256);
} cilium_runtime_config SEC(".maps");

enum {
	RUNTIME_CONFIG_UTIME_OFFSET = 0,
};

/*
 * Time of day in units of 512 ns: the monotonic clock plus an offset that the control side keeps.
 */
static __always_inline __u64 utime_now(void)
{
	__u32 setting = RUNTIME_CONFIG_UTIME_OFFSET;
	__u64 *offset = bpf_map_lookup_elem(&cilium_runtime_config, &setting);

	return (bpf_ktime_get_ns() >> 9) + (offset ? *offset : 0);
}

/* remote: where the peer is; on this node if nothing else is known. */
static __always_inline int auth_lookup(__u32 local_label, __u32 remote_label,
				       const struct remote_endpoint_info *remote, __u8 auth_type)
{
	struct auth_key key = {
		.local_sec_label = local_label,
		.remote_sec_label = remote_label,
		.auth_type = auth_type,
	};
	struct auth_info *auth;

	if (remote && remote->flag_has_tunnel_ep) {
		const struct node_value *node =
			remote->flag_ipv6_tunnel_ep ? node_lookup_ip6(&remote->tunnel_endpoint.ip6)
						    : node_lookup_ip4(remote->tunnel_endpoint.ip4);

		if (!node || !node->id)
			return DROP_NO_NODE_ID;
		key.remote_node_id = node->id;
	}
	auth = bpf_map_lookup_elem(&cilium_auth_map, &key);
	if (auth && utime_now() < auth->expiration)
		return TC_ACT_OK;
	return DROP_POLICY_AUTH_REQUIRED;
}
