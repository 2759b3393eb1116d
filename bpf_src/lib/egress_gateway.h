/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Which node, and under which address, an endpoint's traffic leaves the cluster. */
#pragma once

#include "types.h"

struct egress_gw_policy_key {
	struct bpf_lpm_trie_key lpm_key;
	__u32 saddr;
	__u32 daddr;
};

struct egress_gw_policy_entry {
	__u32 egress_ip;
	__u32 gateway_ip;
};

struct egress_gw_policy_key6 {
	struct bpf_lpm_trie_key lpm_key;
	union v6addr saddr;
	union v6addr daddr;
};

struct egress_gw_policy_entry6 {
	union v6addr egress_ip;
	__u32 gateway_ip;
	__u32 reserved[3];
};
