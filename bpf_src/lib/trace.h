/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The way of a packet that goes on: a notification, thinned out by the aggregation level, and a
 * metric.
 */
#pragma once

#include "events.h"
#include "metrics.h"

enum trace_point {
	TRACE_TO_LXC = 0,
	TRACE_TO_PROXY = 1,
	TRACE_TO_HOST = 2,
	TRACE_TO_STACK = 3,
	TRACE_TO_OVERLAY = 4,
	TRACE_FROM_LXC = 5,
	TRACE_FROM_PROXY = 6,
	TRACE_FROM_HOST = 7,
	TRACE_FROM_STACK = 8,
	TRACE_FROM_OVERLAY = 9,
	TRACE_FROM_NETWORK = 10,
	TRACE_TO_NETWORK = 11,
};

/* The first four are the conntrack states. */
enum trace_reason {
	TRACE_REASON_POLICY = 0,
	TRACE_REASON_CT_ESTABLISHED = 1,
	TRACE_REASON_CT_REPLY = 2,
	TRACE_REASON_CT_RELATED = 3,
	TRACE_REASON_UNKNOWN = 5,
	TRACE_REASON_ENCRYPTED = 0x80,
};

enum {
	TRACE_AGGREGATE_RX = 1,
	TRACE_AGGREGATE_ACTIVE_CT = 3,
};

enum {
	TRACE_FLAG_IPV6 = 1,
};

struct trace_notify {
	NOTIFY_CAPTURE_HDR
	__u32 src_label;
	__u32 dst_label;
	__u16 dst_id;
	__u8 reason;
	__u8 flags;
	__u32 ifindex;
	union {
		struct {
			__be32 orig_ip4;
			__u32 orig_pad1;
			__u32 orig_pad2;
			__u32 orig_pad3;
		};
		union v6addr orig_ip6;
	};
};

_Static_assert(sizeof(struct trace_notify) == 48, "trace_notify");

enum { NOTIFY_TRACE_VER = 1 };

/*
 * A packet at an observation point. monitor: how much of it conntrack wants seen, 0 if it was seen
 * lately.
 */
struct trace_site {
	enum trace_point point;
	enum trace_reason reason;
	__u32 src_label;
	__u32 dst_label;
	__u32 ifindex;
	__u32 monitor;
	__u16 dst_id;
	__u8 flags;
	__u8 pad;
	union v6addr orig;
};

static __always_inline void trace_metrics(__u64 bytes, const struct trace_site *site, __u16 line,
					  __u8 file)
{
	switch (site->point) {
	case TRACE_TO_LXC:
		count_packet_at(bytes, METRIC_INGRESS, REASON_FORWARDED, line, file);
		break;
	case TRACE_TO_HOST:
	case TRACE_TO_STACK:
	case TRACE_TO_OVERLAY:
	case TRACE_TO_NETWORK:
		count_packet_at(bytes, METRIC_EGRESS, REASON_FORWARDED, line, file);
		break;
	case TRACE_FROM_HOST:
	case TRACE_FROM_STACK:
	case TRACE_FROM_OVERLAY:
	case TRACE_FROM_NETWORK:
		count_packet_at(bytes, METRIC_INGRESS, REASON_PLAINTEXT, line, file);
		break;
	case TRACE_FROM_LXC:
	case TRACE_FROM_PROXY:
	case TRACE_TO_PROXY:
		/* The endpoint's packet counts where it is delivered, the proxy counts its own. */
		break;
	}
}

static __always_inline bool trace_wanted(const struct trace_site *site)
{
	if (!enable_trace_notify)
		return false;
	if (monitor_aggregation >= TRACE_AGGREGATE_RX && site->point >= TRACE_FROM_LXC &&
	    site->point <= TRACE_FROM_NETWORK)
		return false;
	return monitor_aggregation < TRACE_AGGREGATE_ACTIVE_CT || site->monitor;
}

__verified_alone int trace_send(struct __sk_buff *ctx, const struct trace_site *site)
{
	struct trace_notify msg = {};
	__u64 captured;

	if (!site || !event_allowed())
		return 0;

	captured = capture_len(ctx, site->monitor);
	msg.type = CILIUM_NOTIFY_TRACE;
	msg.subtype = site->point;
	msg.source = endpoint_id;
	msg.hash = ctx->hash;
	msg.len_orig = ctx->len;
	msg.len_cap = captured;
	msg.version = NOTIFY_TRACE_VER;
	msg.src_label = site->src_label;
	msg.dst_label = site->dst_label;
	msg.dst_id = site->dst_id;
	msg.reason = site->reason;
	msg.flags = site->flags;
	msg.ifindex = site->ifindex;
	msg.orig_ip6 = site->orig;
	send_event(ctx, &msg, sizeof(msg), captured);
	return 0;
}

static __always_inline void trace_packet_at(struct __sk_buff *ctx, const struct trace_site *site,
					    __u16 line, __u8 file)
{
	trace_metrics(ctx->len, site, line, file);
	if (trace_wanted(site))
		trace_send(ctx, site);
}

#define trace_packet(ctx, site) trace_packet_at(ctx, site, __LINE__, SOURCE_FILE_ID)
