/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Token buckets: a limit on what packets can make the node send. */
#pragma once

#include "types.h"

enum {
	RATELIMIT_USAGE_ICMPV6 = 1,
	RATELIMIT_USAGE_EVENTS_MAP = 2,
};

struct ratelimit_key {
	__u32 usage;
	union {
		struct {
			__u32 netdev_idx;
		} icmpv6;
	} key;
};

struct ratelimit_value {
	__u64 last_topup;
	__u64 tokens;
};

struct ratelimit_metrics_key {
	__u32 usage;
};

struct ratelimit_metrics_value {
	__u64 dropped;
};

_Static_assert(sizeof(struct ratelimit_key) == 8, "ratelimit_key");
_Static_assert(sizeof(struct ratelimit_value) == 16, "ratelimit_value");

/* what is limited, and where -> its bucket */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct ratelimit_key);
	__type(value, struct ratelimit_value);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, 1024);
} cilium_ratelimit SEC(".maps");

/* what is limited -> how often it was refused */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct ratelimit_metrics_key);
	__type(value, struct ratelimit_metrics_value);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, 64);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} cilium_ratelimit_metrics SEC(".maps");

static __always_inline void ratelimit_count_refusal(__u32 usage)
{
	struct ratelimit_metrics_key key = { .usage = usage };
	struct ratelimit_metrics_value first = { .dropped = 1 }, *value;

	value = bpf_map_lookup_elem(&cilium_ratelimit_metrics, &key);
	if (value)
		__sync_fetch_and_add(&value->dropped, 1);
	else
		bpf_map_update_elem(&cilium_ratelimit_metrics, &key, &first, BPF_NOEXIST);
}

/*
 * Take a token from the bucket; it gains per_second each second up to burst. CPUs that race may
 * take one too many.
 */
static __always_inline bool ratelimit_take(const struct ratelimit_key *key, __u64 per_second,
					   __u64 burst)
{
	const __u64 second = 1000000000ULL;
	__u64 now = bpf_ktime_get_ns(), seconds;
	struct ratelimit_value first = { .last_topup = now, .tokens = burst - 1 }, *bucket;

	bucket = bpf_map_lookup_elem(&cilium_ratelimit, key);
	if (!bucket) {
		bpf_map_update_elem(&cilium_ratelimit, key, &first, BPF_ANY);
		return true;
	}
	seconds = (now - bucket->last_topup) / second;
	if (seconds) {
		bucket->tokens += seconds * per_second;
		bucket->last_topup += seconds * second;
		if (bucket->tokens > burst)
			bucket->tokens = burst;
	}
	if (bucket->tokens) {
		bucket->tokens--;
		return true;
	}
	ratelimit_count_refusal(key->usage);
	return false;
}
