/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Who has joined a multicast group. */
#pragma once

#include "types.h"

struct mcast_subscriber_v4 {
	__be32 saddr;
	__u32 ifindex;
	__u16 pad1;
	__u8 pad2;
	__u8 flags;
};
