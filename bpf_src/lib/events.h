/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Messages to the monitor: the ring they go through, their common head, and how many bytes of the
 * packet follow.
 */
#pragma once

#include "config.h"
#include "ratelimit.h"

/* CPU -> perf ring of the reader */
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} cilium_events SEC(".maps");

enum notify_type {
	CILIUM_NOTIFY_DROP = 1,
	CILIUM_NOTIFY_DBG_MSG = 2,
	CILIUM_NOTIFY_DBG_CAPTURE = 3,
	CILIUM_NOTIFY_TRACE = 4,
	CILIUM_NOTIFY_POLICY_VERDICT = 5,
};

#define NOTIFY_COMMON_HDR \
	__u8 type;        \
	__u8 subtype;     \
	__u16 source;     \
	__u32 hash;

#define NOTIFY_CAPTURE_HDR \
	NOTIFY_COMMON_HDR  \
	__u32 len_orig;    \
	__u16 len_cap;     \
	__u16 version;

/*
 * monitor: 0 or trace_payload_len for the usual length, more where conntrack asks for more (DNS).
 */
static __always_inline __u64 capture_len(struct __sk_buff *ctx, __u32 monitor)
{
	__u64 wanted = monitor ? monitor : trace_payload_len;
	__u64 len = ctx->len;

	return len < wanted ? len : wanted;
}

static __always_inline bool event_allowed(void)
{
	struct ratelimit_key key = { .usage = RATELIMIT_USAGE_EVENTS_MAP };

	if (!events_rate_limit)
		return true;
	return ratelimit_take(&key, events_rate_limit, events_burst_limit);
}

static __always_inline void send_event(struct __sk_buff *ctx, void *message, __u64 size,
				       __u64 captured)
{
	bpf_perf_event_output(ctx, &cilium_events, (captured << 32) | BPF_F_CURRENT_CPU, message,
			      size);
}
