/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Which packets are captured. */
#pragma once

#include "types.h"

struct capture4_wcard {
	__be32 saddr;
	__be32 daddr;
	__be16 sport;
	__be16 dport;
	__u8 nexthdr;
	__u8 smask;
	__u8 dmask;
	__u8 flags;
};

struct capture6_wcard {
	union v6addr saddr;
	union v6addr daddr;
	__be16 sport;
	__be16 dport;
	__u8 nexthdr;
	__u8 smask;
	__u8 dmask;
	__u8 flags;
};

struct capture_rule {
	__u16 rule_id;
	__u16 reserved;
	__u32 cap_len;
};
