/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Counters of forwarded and dropped packets. */
#pragma once

#include "drop_reasons.h"
#include "source_files.h"
#include "types.h"

enum metric_dir {
	METRIC_INGRESS = 1,
	METRIC_EGRESS = 2,
	METRIC_SERVICE = 3,
};

struct metrics_key {
	__u8 reason;
	__u8 dir : 2, pad : 6;
	__u16 line;
	__u8 file;
	__u8 reserved[3];
};

struct metrics_value {
	__u64 count;
	__u64 bytes;
};

_Static_assert(sizeof(struct metrics_key) == 8, "metrics_key");
_Static_assert(sizeof(struct metrics_value) == 16, "metrics_value");

/* reason, direction, place in the source -> packets and bytes, per CPU */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__type(key, struct metrics_key);
	__type(value, struct metrics_value);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} cilium_metrics SEC(".maps");

static __always_inline void count_packet_at(__u32 bytes, __u8 dir, __u8 reason, __u16 line,
					    __u8 file)
{
	struct metrics_key key = { .reason = reason, .dir = dir, .line = line, .file = file };
	struct metrics_value first = { .count = 1, .bytes = bytes }, *value;

	value = bpf_map_lookup_elem(&cilium_metrics, &key);
	if (likely(value)) {
		value->count++;
		value->bytes += bytes;
		return;
	}
	bpf_map_update_elem(&cilium_metrics, &key, &first, BPF_ANY);
}

__verified_alone int update_metrics_at(__u32 bytes, __u8 dir, __u8 reason, __u16 line, __u8 file)
{
	count_packet_at(bytes, dir, reason, line, file);
	return 0;
}

/* For what seldom happens. */
#define update_metrics(bytes, dir, reason) \
	update_metrics_at(bytes, dir, reason, __LINE__, SOURCE_FILE_ID)

/* For what happens to each packet: without a call. */
#define count_packet(bytes, dir, reason) \
	count_packet_at(bytes, dir, reason, __LINE__, SOURCE_FILE_ID)
