/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Messages for whoever debugs the programs; nothing is left of them when the option is off. */
#pragma once

#include "events.h"

enum dbg_type {
	/* endpoint, source identity */
	DBG_LOCAL_DELIVERY = 2,
	/* source and destination identity */
	DBG_POLICY_DENIED = 5,
	/* conntrack state, index of the service */
	DBG_CT_VERDICT = 15,
};

struct debug_msg {
	NOTIFY_COMMON_HDR
	__u32 arg1;
	__u32 arg2;
	__u32 arg3;
};

struct debug_capture_msg {
	NOTIFY_CAPTURE_HDR
	__u32 arg1;
	__u32 arg2;
};

_Static_assert(sizeof(struct debug_msg) == 20, "debug_msg");
_Static_assert(sizeof(struct debug_capture_msg) == 24, "debug_capture_msg");

__verified_alone int cilium_dbg_send(struct __sk_buff *ctx, enum dbg_type type, __u32 arg1,
				     __u32 arg2)
{
	struct debug_msg msg = {
		.type = CILIUM_NOTIFY_DBG_MSG,
		.subtype = type,
		.source = endpoint_id,
		.hash = ctx->hash,
		.arg1 = arg1,
		.arg2 = arg2,
	};

	if (event_allowed())
		send_event(ctx, &msg, sizeof(msg), 0);
	return 0;
}

static __always_inline void cilium_dbg(struct __sk_buff *ctx, enum dbg_type type, __u32 arg1,
				       __u32 arg2)
{
	if (debug)
		cilium_dbg_send(ctx, type, arg1, arg2);
}
