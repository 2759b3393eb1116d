/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Policy verdicts, told to the monitor: every denial, and the first packet of what is allowed. */
#pragma once

#include "events.h"
#include "policy.h"

struct policy_verdict_notify {
	NOTIFY_CAPTURE_HDR
	__u32 remote_label;
	__s32 verdict;
	__u16 dst_port;
	__u8 proto;
	__u8 dir : 2, ipv6 : 1, match_type : 3, audited : 1, pad0 : 1;
	__u8 auth_type;
	__u8 pad1;
	__u16 pad2;
};

_Static_assert(sizeof(struct policy_verdict_notify) == 32, "policy_verdict_notify");

enum { NOTIFY_POLICY_VERDICT_VER = 1 };

__verified_alone int send_policy_verdict(struct __sk_buff *ctx, const struct policy_query *query,
					 const struct policy_verdict *verdict)
{
	struct policy_verdict_notify msg = {};
	__u64 captured;
	__u8 dir;

	if (!query || !verdict)
		return 0;
	/* Each direction is its own bit of the filter. */
	dir = query->egress ? 2 : 1;
	if (!enable_policy_verdict_notify || !(policy_verdict_log_filter & dir) || !event_allowed())
		return 0;

	captured = capture_len(ctx, 0);
	msg.type = CILIUM_NOTIFY_POLICY_VERDICT;
	msg.source = endpoint_id;
	msg.hash = ctx->hash;
	msg.len_orig = ctx->len;
	msg.len_cap = captured;
	msg.version = NOTIFY_POLICY_VERDICT_VER;
	msg.remote_label = query->remote_label;
	/* A positive verdict is the proxy's port, as it stands in the policy entry. */
	msg.verdict = verdict->code ? verdict->code : verdict->proxy_port;
	msg.dst_port = bpf_ntohs(query->dport);
	msg.proto = query->protocol;
	msg.dir = dir;
	msg.ipv6 = query->ipv6;
	msg.match_type = verdict->match_type;
	msg.audited = verdict->audited;
	msg.auth_type = verdict->auth_type;
	send_event(ctx, &msg, sizeof(msg), captured);
	return 0;
}
