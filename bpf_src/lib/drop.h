/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The end of a packet: one metric, one notification, one verdict. Only entry points call this. */
#pragma once

#include "events.h"
#include "metrics.h"
#include "ctx.h"

struct drop_notify {
	NOTIFY_CAPTURE_HDR
	__u32 src_label;
	__u32 dst_label;
	__u32 dst_id;
	__u16 line;
	__u8 file;
	__s8 ext_error;
	__u32 ifindex;
	__u8 flags;
	__u8 pad2[3];
};

_Static_assert(sizeof(struct drop_notify) == 40, "drop_notify");

enum { NOTIFY_DROP_VER = 2 };

/* What is known about a packet where it is dropped; ext_error is finer-grained than the reason. */
struct drop_site {
	__u32 src_label;
	__u32 dst_label;
	__u32 dst_id;
	__s8 ext_error;
	__u8 direction;
	__u8 pad[2];
};

__verified_alone int drop_packet_at(struct __sk_buff *ctx, const struct drop_site *site, int reason,
				    __u16 line, __u8 file)
{
	struct drop_notify msg = {};
	__u64 captured;

	if (!site)
		return TC_ACT_SHOT;
	update_metrics_at(ctx->len, site->direction, (__u8)-reason, line, file);
	if (!enable_drop_notify || !event_allowed())
		return TC_ACT_SHOT;

	captured = capture_len(ctx, 0);
	msg.type = CILIUM_NOTIFY_DROP;
	msg.subtype = (__u8)-reason;
	msg.source = endpoint_id;
	msg.hash = ctx->hash;
	msg.len_orig = ctx->len;
	msg.len_cap = captured;
	msg.version = NOTIFY_DROP_VER;
	msg.src_label = site->src_label;
	msg.dst_label = site->dst_label;
	msg.dst_id = site->dst_id;
	msg.line = line;
	msg.file = file;
	msg.ext_error = site->ext_error;
	msg.ifindex = ctx->ifindex;
	send_event(ctx, &msg, sizeof(msg), captured);
	return TC_ACT_SHOT;
}
