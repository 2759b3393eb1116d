/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Services: their addresses, their backends, and how translations are undone. */
#pragma once

#include "types.h"

struct lb4_key {
	__be32 address;
	__be16 dport;
	__u16 backend_slot;
	__u8 proto;
	__u8 scope;
	__u8 pad[2];
};

struct lb4_service {
	union {
		__u32 backend_id;
		__u32 affinity_timeout;
		__u32 l7_lb_proxy_port;
	};
	__u16 count;
	__u16 rev_nat_index;
	__u8 flags;
	__u8 flags2;
	__u16 qcount;
};

struct lb4_backend {
	__be32 address;
	__be16 port;
	__u8 proto;
	__u8 flags;
	__u16 cluster_id;
	__u8 zone;
	__u8 pad;
};

struct lb4_reverse_nat {
	__be32 address;
	__be16 port;
} __packed;

struct lb6_key {
	union v6addr address;
	__be16 dport;
	__u16 backend_slot;
	__u8 proto;
	__u8 scope;
	__u8 pad[2];
};

struct lb6_service {
	union {
		__u32 backend_id;
		__u32 affinity_timeout;
		__u32 l7_lb_proxy_port;
	};
	__u16 count;
	__u16 rev_nat_index;
	__u8 flags;
	__u8 flags2;
	__u16 qcount;
};

struct lb6_backend {
	union v6addr address;
	__be16 port;
	__u8 proto;
	__u8 flags;
	__u16 cluster_id;
	__u8 zone;
	__u8 pad;
};

struct lb6_reverse_nat {
	union v6addr address;
	__be16 port;
} __packed;

_Static_assert(sizeof(struct lb4_key) == 12, "lb4_key");
_Static_assert(sizeof(struct lb4_service) == 12, "lb4_service");
_Static_assert(sizeof(struct lb4_backend) == 12, "lb4_backend");
_Static_assert(sizeof(struct lb4_reverse_nat) == 6, "lb4_reverse_nat");
_Static_assert(sizeof(struct lb6_key) == 24, "lb6_key");
_Static_assert(sizeof(struct lb6_service) == 12, "lb6_service");
_Static_assert(sizeof(struct lb6_backend) == 24, "lb6_backend");
_Static_assert(sizeof(struct lb6_reverse_nat) == 18, "lb6_reverse_nat");
