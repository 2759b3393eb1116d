/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Bandwidth limits: when an endpoint's next packet may leave. */
#pragma once

#include "types.h"

struct edt_id {
	__u32 id;
	__u8 direction;
	__u8 pad[3];
};

struct edt_info {
	__u64 bps;
	__u64 t_last;
	union {
		__u64 t_horizon_drop;
		__u64 tokens;
	};
	__u32 prio;
	__u32 pad_32;
	__u64 pad[3];
};
